"""Tests of layernas.search.problem."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.search.cost import additive_cost
from layernas.search.problem import Problem
from layernas.search.problem import TargetInterval
from tests.search.problems import make_space

_small = st.integers(-5, 5)


def _cost(unit=''):
  return additive_cost(
      'madds', make_space(2, 2), [[1, 2], [10, 2000]], unit=unit
  )


def test_both_ends_belong_to_the_target():
  target = TargetInterval(2, 4)
  assert [cost in target for cost in (1, 2, 3, 4, 5, 4.001)] == [
      False, True, True, True, False, False
  ]


@pytest.mark.parametrize('cost', [-10**30, 0, 10**30, 1e300])
def test_a_target_without_limits_holds_everything(cost):
  assert cost in TargetInterval()


@given(_small, _small, _small, _small)
def test_intervals_meet_where_they_share_a_number(a, b, c, d):
  (low, high), (least, largest) = sorted((a, b)), sorted((c, d))
  shared = any(cost in TargetInterval(low, high)
               for cost in range(least, largest + 1))
  assert TargetInterval(low, high).meets(least, largest) == shared


@pytest.mark.parametrize(
    ('low', 'high'), [(2, 1), (math.nan, 1), (1, math.nan), (math.inf, 0)]
)
def test_a_target_has_low_before_high(low, high):
  with pytest.raises(UserError, match=r'allowed are .* low <= high') as info:
    TargetInterval(low, high)
  assert f'[{low}, {high}]' in str(info.value)


@pytest.mark.parametrize('target', [(2003, 3000), (0, 10), (-9, -1)])
def test_a_target_that_nothing_reaches_is_named(target):
  with pytest.raises(UserError, match=r"'madds'.*reachable are 11 to 2,002 M"):
    Problem(_cost('M'), TargetInterval(*target))


@pytest.mark.parametrize('target', [(2002, 3000), (0, 11), (0, 5000)])
def test_a_target_that_is_touched_is_fine(target):
  problem = Problem(_cost(), TargetInterval(*target))
  assert problem.space is problem.cost.space
