"""Another attempt where one may help, as often as allowed."""

import pytest

from layernas.executors.executor import Attempts
from layernas.executors.executor import Evaluated
from layernas.executors.executor import lost
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Status

ONE, OTHER = (Candidate(number, 1, (0,), 1, 0) for number in range(2))
MISTAKE = Evaluated(Evaluation(None, 1.0, Status.FAILED, 'a mistake'))


@pytest.mark.parametrize('retries', [0, 1, 3])
def test_a_lost_attempt_is_followed_by_so_many(retries):
  attempts = Attempts(retries)
  for _ in range(retries):
    assert attempts.again(ONE, lost('gone'))
  assert not attempts.again(ONE, lost('gone'))
  message = attempts.last(ONE, lost('gone')).message
  assert message == 'gone' + (f' ({retries + 1} attempts)' if retries else '')


@pytest.mark.parametrize('evaluated', [
    MISTAKE, Evaluated(Evaluation(1.0)), Evaluated(Evaluation(float('nan'))),
])
def test_what_would_end_likewise_is_not_tried_again(evaluated):
  attempts = Attempts(5)
  assert not attempts.again(ONE, evaluated)
  assert attempts.last(ONE, evaluated) == evaluated.evaluation


def test_each_candidate_has_its_own_attempts():
  attempts = Attempts(1)
  assert attempts.again(ONE, lost('gone'))
  assert attempts.again(OTHER, lost('gone'))
  assert not attempts.again(ONE, lost('gone'))


def test_a_success_after_a_failure_says_nothing_of_it():
  attempts = Attempts(1)
  assert attempts.again(ONE, lost('gone'))
  done = Evaluated(Evaluation(0.5))
  assert not attempts.again(ONE, done)
  assert attempts.last(ONE, done) == Evaluation(0.5)
