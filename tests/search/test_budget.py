"""Tests of layernas.search.budget."""

import math

import pytest

from layernas.errors import UserError
from layernas.search.budget import Budget
from layernas.search.budget import Remaining


def test_no_limits():
  assert Budget().spent(10**9, 1e12, 10**9) == ''


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
  assert budget.spent(*spent) == reason


def test_what_is_left():
  left = Budget(trials=5, seconds=2.5).remaining(3, 3.0)
  assert (left.trials, left.seconds) == (2, -0.5)
  assert Budget().remaining(3, 3.0) == Remaining(math.inf, math.inf)


def test_failures_are_the_first_reason():
  assert 'failed' in Budget(1, 1, 1).spent(1, 1, 1)


@pytest.mark.parametrize('field', ['trials', 'seconds', 'failures', 'reused'])
@pytest.mark.parametrize('value', [0, -1, math.nan])
def test_limits_are_above_zero(field, value):
  with pytest.raises(UserError, match='allowed are numbers above zero') as info:
    Budget(**{field: value})
  assert f'budget.{field}: {value!r}' in str(info.value)
