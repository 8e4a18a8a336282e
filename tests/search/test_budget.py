"""Tests of layernas.search.budget."""

import math

import pytest

from layernas.errors import UserError
from layernas.search.budget import Budget
from layernas.search.budget import Remaining
from layernas.search.budget import Spent
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Status
from layernas.search.trial import Trial


def test_no_limits():
  assert Budget().spent(10**9, Spent(1e12, 10**9)) == ''


@pytest.mark.parametrize(('budget', 'spent', 'reason'), [
    (Budget(trials=3), (2, 0, 0), ''),
    (Budget(trials=3), (3, 0, 0), 'budget of 3 trials spent'),
    (Budget(trials=3), (4, 0, 0), 'budget of 3 trials spent'),
    (Budget(seconds=1.5), (9, 1.49, 0), ''),
    (Budget(seconds=1500.5), (9, 1500.5, 0), 'budget of 1,500.5 seconds spent'),
    (Budget(failures=2), (9, 0, 1), ''),
    (Budget(failures=2), (9, 0, 2), '2 trials in a row failed'),
    (
        Budget(failures=2), (9, 0, 2, 'a'),
        '2 trials in a row failed, the first: a',
    ),
])
def test_a_limit_is_reached_exactly(budget, spent, reason):
  trials, *rest = spent
  assert budget.spent(trials, Spent(*rest)) == reason


def test_what_is_left():
  left = Budget(trials=5, seconds=2.5).remaining(3, 3.0)
  assert (left.trials, left.seconds) == (2, -0.5)
  assert Budget().remaining(3, 3.0) == Remaining(math.inf, math.inf)


def test_failures_are_the_first_reason():
  assert 'failed' in Budget(1, 1, 1).spent(1, Spent(1, 1))


def test_failures_in_a_row_and_the_first_of_them():
  spent, seen = Spent(), []
  for status, message in [
      (Status.FAILED, 'a'), (Status.NAN, 'b'), (Status.STOPPED, ''),
      (Status.FAILED, 'c'), (Status.OK, ''), (Status.FAILED, 'd'),
  ]:
    spent.add(Trial(
        Candidate(0, 1, (0,), 1, 0), Evaluation(1.0, 2.0, status, message)
    ))
    seen.append((spent.failures, spent.failures and spent.first_failure))
  assert seen == [(1, 'a'), (2, 'a'), (0, 0), (1, 'c'), (0, 0), (1, 'd')]
  assert spent.seconds == 12.0


@pytest.mark.parametrize('field', ['trials', 'seconds', 'failures', 'reused'])
@pytest.mark.parametrize('value', [0, -1, math.nan])
def test_limits_are_above_zero(field, value):
  with pytest.raises(UserError, match='allowed are numbers above zero') as info:
    Budget(**{field: value})
  assert f'budget.{field}: {value!r}' in str(info.value)
