"""Evaluates candidates in this process, one after the other."""

import collections
import functools
from collections.abc import Callable
from collections.abc import Sequence

from layernas.executors.executor import Attempts
from layernas.executors.executor import Evaluator
from layernas.executors.executor import Executor
from layernas.executors.executor import Listener
from layernas.executors.executor import Result
from layernas.search.space import Network
from layernas.search.trial import Candidate


class Inline(Executor):
  """One candidate at a time, in the thread that waits for its result."""

  capacity = 1

  def __init__(
      self, make_evaluator: Callable[[], Evaluator], listener: Listener,
      retries: int = 0,
  ):
    """Prepares.

    Args:
      make_evaluator: makes what evaluates.
      listener: hears what goes on.
      retries: attempts at one candidate beyond the first.
    """
    self._evaluator = make_evaluator()
    self._listener = listener
    self._attempts = Attempts(retries)
    self._submitted: collections.deque[Candidate] = collections.deque()

  def submit(self, candidate: Candidate) -> None:
    """Notes it."""
    self._submitted.append(candidate)

  def prepare(self, architectures: Sequence[Network]) -> None:
    """Passes on what is evaluated next, and what may be."""
    self._evaluator.prepare([
        *(candidate.architecture for candidate in self._submitted),
        *architectures,
    ])

  def next_result(self) -> Result:
    """Evaluates the candidate that was submitted first."""
    candidate = self._submitted.popleft()
    hopeless = functools.partial(self._listener.hopeless, candidate)
    while True:
      self._listener.began(candidate, '')
      evaluated = self._evaluator(candidate, hopeless)
      if not self._attempts.again(candidate, evaluated):
        return self._attempts.last(candidate, evaluated)
      self._listener.trouble(candidate, evaluated.evaluation.message)

  def __enter__(self) -> 'Inline':
    self._evaluator.__enter__()
    return self

  def __exit__(self, *error: object) -> None:
    self._evaluator.__exit__(*error)
