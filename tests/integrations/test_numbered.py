"""Tests of layernas.integrations.numbered."""

import itertools
import threading

import pytest

from layernas.errors import UserError
from layernas.integrations.numbered import DeadlockError
from layernas.integrations.numbered import NumberedSearch
from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Proposal
from layernas.search import Search
from layernas.search import Strategy
from layernas.search import Trial
from tests.integrations import searches
from tests.search import problems


def worth(candidate):
  return Evaluation(searches.reward(candidate.architecture), 1.0)


def in_threads(count, work):
  """Runs a function in threads; what they raised."""
  errors = []

  def guarded(index):
    try:
      work(index)
    except Exception as error:
      errors.append(error)

  threads = [
      threading.Thread(target=guarded, args=(index,), daemon=True)
      for index in range(count)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join(30)
  assert not any(thread.is_alive() for thread in threads)
  return errors


@pytest.mark.parametrize('schedule', ['sweep', 'interleaved', 'model_guided'])
def test_numbers_go_to_threads_as_they_would_to_one(schedule):
  numbered = NumberedSearch(searches.search(schedule))
  numbers = itertools.count()

  def work(index):
    while True:
      number = next(numbers)
      candidate = numbered.candidate(number)
      if candidate is None:
        return
      assert candidate.id == number
      threading.Event().wait(0.002 * ((number * 7 + index) % 3))
      numbered.tell(number, worth(candidate))

  assert in_threads(4, work) == []
  alone = problems.run(searches.search(schedule), worth)
  assert numbered.search.trials == alone.trials
  assert numbered.search.best == alone.best
  assert numbered.over


def test_a_higher_number_waits_for_the_lower_ones():
  numbered = NumberedSearch(searches.search())
  first = [numbered.peek(0)]
  while (candidate := numbered.peek(len(first))) is not None:
    first.append(candidate)
  # The next layer depends on all children of this one.
  assert len(first) > 2
  found = []

  def work(index):
    if index == 0:
      found.append(numbered.candidate(len(first)))
      return
    for one in reversed(first):
      numbered.candidate(one.id)
      assert not found
      numbered.tell(one.id, worth(one))

  assert in_threads(2, work) == []
  assert [one.id for one in found] == [len(first)]


def test_one_thread_that_would_wait_for_itself_is_told_so():
  numbered = NumberedSearch(searches.search())
  count = 0
  while numbered.peek(count) is not None:
    numbered.candidate(count)
    count += 1
  with pytest.raises(DeadlockError, match=rf'candidate {count}: .*allowed is'):
    numbered.candidate(count)
  for number in range(count):
    numbered.tell(number, worth(numbered.peek(number)))
  assert numbered.candidate(count).id == count


def test_threads_that_would_wait_for_each_other_are_told_so():
  """They hold all candidates of a generation, none of them all alone."""
  numbered = NumberedSearch(searches.search())
  numbers, missing = itertools.count(), []

  def work(index):
    for number in numbers:
      while True:
        try:
          if numbered.candidate(number) is None:
            return
          break
        except DeadlockError as error:
          missing.append(error.numbers)
          for one in error.numbers:
            numbered.tell(one, worth(numbered.peek(one)))

  assert in_threads(2, work) == []
  assert missing[0] == list(range(len(missing[0])))
  alone = problems.run(searches.search(), worth)
  assert numbered.search.trials == alone.trials


def test_after_the_end_there_is_nothing():
  numbered = NumberedSearch(searches.search(trials=2))
  assert not numbered.over
  for number in range(2):
    numbered.tell(number, worth(numbered.candidate(number)))
  assert numbered.over
  assert numbered.candidate(2) is None
  assert len(numbered.search.trials) == 2


def test_results_of_what_was_withdrawn_are_ignored():
  numbered = NumberedSearch(
      Search(searches.PROBLEM, 'sweep', Budget(seconds=1))
  )
  first, second, third = map(numbered.candidate, range(3))
  numbered.tell(first.id, worth(first))
  numbered.tell(second.id, worth(second))
  assert numbered.search.trials == [Trial(first, worth(first))]
  assert numbered.over
  assert numbered.candidate(third.id) is None


class _Raises(Strategy):
  """Raises behind its first generation."""

  def generations(self, context):
    cost = context.problem.cost.cost
    yield [Proposal(one, cost(one)) for one in ((2, 1, 0), (2, 1, 1))]
    raise KeyError('schedule')

  def observe(self, proposal, trial):
    pass


def test_a_schedule_that_raises_leaves_nobody_waiting():
  numbered = NumberedSearch(Search(searches.PROBLEM, _Raises()))
  begun = threading.Barrier(4)

  def work(index):
    candidate = numbered.candidate(index) if index < 2 else None
    begun.wait(9)
    if candidate:
      numbered.tell(index, worth(candidate))
    else:
      assert numbered.candidate(index) is None

  [error] = in_threads(4, work)
  assert "KeyError: 'schedule'" in str(error)
  assert numbered.search.stop_reason.startswith('the schedule failed')


def test_a_search_that_has_begun_is_refused():
  begun = searches.search()
  begun.ask()
  with pytest.raises(UserError, match='1 candidates under way: allowed'):
    NumberedSearch(begun)
  with pytest.raises(UserError, match="search 'sweep': allowed is a Search"):
    NumberedSearch('sweep')
