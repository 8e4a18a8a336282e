"""A search that hands out its candidates by number, to several threads.

Frameworks that run trials number them and run them in threads. Here trial k
gets candidate k, whichever thread comes first, and waits if that candidate
depends on results of other threads. A search with many threads therefore makes
the same trials as a search with one.
"""

import threading

from layernas.errors import UserError
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Search


class DeadlockError(UserError):
  """The error if a candidate depends on results of threads that wait.

  Attributes:
    numbers: numbers of the candidates whose results are missing.
  """

  def __init__(self, number: int, numbers: list[int]):
    """Makes an error that names the missing results.

    Args:
      number: number of the candidate that was asked for.
      numbers: numbers of the candidates without a result.
    """
    super().__init__(
        f'candidate {number}: it depends on the results of candidates'
        f' {numbers}, and whoever was given these waits for another one:'
        ' allowed is to tell their results first'
    )
    self.numbers = numbers


class NumberedSearch:
  """Hands out the candidates of a search by number and takes their results.

  Any number of threads may call its methods.

  Attributes:
    search: the search.
  """

  def __init__(self, search: Search):
    """Takes a search; hands out nothing yet.

    Args:
      search: a search that has not begun.

    Raises:
      UserError: it is not a Search, or it has begun.
    """
    if not isinstance(search, Search):
      raise UserError(
          f'search {search!r}: allowed is a Search, such as'
          " Search(problem, 'sweep')"
      )
    if search.trials or search.waiting:
      raise UserError(
          f'search with {len(search.trials)} trials and'
          f' {len(search.waiting)} candidates under way: allowed is one that'
          ' has not begun'
      )
    self.search = search
    self._changed = threading.Condition()
    self._asked: list[Candidate] = []
    # Numbers that were handed out, and to which thread.
    self._threads: dict[int, int] = {}
    self._blocked: set[int] = set()

  def candidate(self, number: int) -> Candidate | None:
    """Hands out a candidate; waits for the results that it depends on.

    Args:
      number: number of the candidate, from 0.

    Returns:
      The candidate; None if the search ends before it.

    Raises:
      DeadlockError: no thread is left that could give those results: this
        thread and others that wait here have their candidates.
    """
    thread = threading.get_ident()
    with self._changed:
      self._blocked.add(thread)
      try:
        while not self._reach(number):
          if self.search.stop_reason:
            return None
          self._check_someone_works(number)
          self._changed.wait()
      finally:
        self._blocked.discard(thread)
      if not self.waits(number):
        return None
      self._threads[number] = thread
      return self._asked[number]

  def peek(self, number: int) -> Candidate | None:
    """The candidate of a number, without handing it out.

    Args:
      number: number of the candidate, from 0.

    Returns:
      The candidate; None where the search ends before it, or where it depends
      on results that have not been told.
    """
    with self._changed:
      return self._asked[number] if self._reach(number) else None

  def waits(self, number: int) -> bool:
    """Whether a candidate was asked for, and its result is still expected."""
    return any(one.id == number for one in self.search.waiting)

  def tell(self, number: int, evaluation: Evaluation) -> None:
    """Takes a result, in any order.

    Args:
      number: number of a candidate that was handed out.
      evaluation: its result; ignored if the candidate has been withdrawn
        because a budget is spent.
    """
    with self._changed:
      try:
        if self.waits(number):
          self.search.tell(number, evaluation)
      finally:
        self._changed.notify_all()

  @property
  def over(self) -> bool:
    """Whether no further candidate will be handed out."""
    with self._changed:
      return self.peek(len(self._threads)) is None and bool(
          self.search.stop_reason
      )

  def _reach(self, number: int) -> bool:
    """Asks for candidates up to a number; whether there are as many."""
    missing = number + 1 - len(self._asked)
    if missing > 0:
      try:
        self._asked += self.search.ask(missing)
      finally:
        # Also where a schedule raises: nobody waits for what never comes.
        if self.search.stop_reason:
          self._changed.notify_all()
    return number < len(self._asked)

  def _check_someone_works(self, number: int) -> None:
    """Raises DeadlockError where all results are with threads that wait."""
    missing = [one.id for one in self.search.waiting]
    if {self._threads.get(one) for one in missing} <= self._blocked:
      raise DeadlockError(number, missing)
