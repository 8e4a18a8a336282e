"""Tests of layernas.search.cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.cost import additive_cost
from layernas.search.cost import table_cost
from tests.search.problems import architectures
from tests.search.problems import factored_costs
from tests.search.problems import make_space
from tests.search.problems import reachable
from tests.search.problems import spaces

_seeds = st.integers(0, 10**6)


def _draw_prefix(data, space):
  decided = data.draw(st.sets(st.integers(0, len(space) - 1)))
  architecture = tuple(
      data.draw(st.integers(0, count - 1)) for count in space.option_counts
  )
  return architecture, decided


@settings(max_examples=150)
@given(st.data(), factored_costs())
def test_the_reachable_interval_is_sound_to_the_last_bit(data, cost):
  architecture, decided = _draw_prefix(data, cost.space)
  low, high = cost.interval(architecture, decided)
  least, largest = reachable(cost, architecture, decided)
  assert low <= least <= largest <= high


@given(st.data(), spaces(), st.booleans(), _seeds)
def test_the_interval_of_an_additive_cost_is_exact(data, space, floats, seed):
  rng = np.random.default_rng(seed)
  tables = [
      (rng.standard_normal(n) if floats else rng.integers(-50, 50, n)).tolist()
      for n in space.option_counts
  ]
  cost = additive_cost('madds', space, tables, constant=7)
  prefix = _draw_prefix(data, space)
  assert cost.interval(*prefix) == reachable(cost, *prefix)


@given(st.data(), spaces(), st.booleans(), _seeds)
def test_the_interval_of_a_monotone_cost_is_exact(data, space, floats, seed):
  rng = np.random.default_rng(seed)
  factors = []
  for first in range(len(space)):
    scope = tuple(range(first, min(first + 2, len(space))))
    shape = tuple(space.option_counts[layer] for layer in scope)
    steps = rng.random(shape) if floats else rng.integers(0, 9, shape)
    for axis in range(len(scope)):
      steps = np.cumsum(steps, axis)
    factors.append(Factor(scope, steps))
  cost = FactoredCost('madds', space, factors)
  prefix = _draw_prefix(data, space)
  assert cost.interval(*prefix) == reachable(cost, *prefix)


@given(st.data(), spaces(), _seeds)
def test_the_interval_of_an_enumerated_cost_is_exact(data, space, seed):
  rng = np.random.default_rng(seed)
  cost = table_cost('madds', space, rng.standard_normal(space.option_counts))
  prefix = _draw_prefix(data, space)
  assert cost.interval(*prefix) == reachable(cost, *prefix)


@given(factored_costs())
def test_the_interval_of_a_whole_architecture_is_its_cost(cost):
  everything = range(len(cost.space))
  for architecture in architectures(cost.space):
    exact = cost.cost(architecture)
    assert cost.interval(architecture, everything) == (exact, exact)


@given(factored_costs())
def test_many_costs_are_the_single_costs(cost):
  rows = list(architectures(cost.space))
  costs = cost.costs(np.array(rows))
  assert costs.shape == (len(rows),)
  assert costs.tolist() == [cost.cost(row) for row in rows]


def test_bounds_of_opposed_factors_are_sound_but_not_exact():
  space = make_space((2,))
  cost = FactoredCost(
      'madds', space,
      [Factor((0,), np.array([0, 5])), Factor((0,), np.array([5, 0]))],
  )
  assert cost.interval((0,), ()) == (0, 10)
  assert cost.interval((0,), (0,)) == (5, 5)


def test_an_undecided_option_does_not_count():
  cost = additive_cost('madds', make_space((2, 3)), [[1, 2], [10, 30, 20]])
  assert cost.interval((1, 0), [0]) == cost.interval((1, 2), [0]) == (12, 32)


def test_integers_stay_exact():
  cost = additive_cost(
      'madds', make_space((1, 1)), [[2**53], [2**53]], constant=1
  )
  assert cost.cost((0, 0)) == 2**54 + 1
  assert type(cost.cost((0, 0))) is int
  assert cost.costs(np.array([[0, 0]])).tolist() == [2**54 + 1]
  assert cost.interval((0, 0), ()) == (2**54 + 1, 2**54 + 1)


def test_small_unsigned_tables_do_not_wrap():
  table = np.array([200], np.uint8)
  cost = additive_cost('madds', make_space((1, 1)), [table, table])
  assert cost.cost((0, 0)) == 400
  assert cost.costs(np.array([[0, 0]])).tolist() == [400]


def test_a_constant_is_added_once():
  cost = additive_cost('madds', make_space((2,)), [[1, 2]], 100, 'MAdds')
  assert cost.cost((1,)) == 102
  assert cost.costs(np.array([[0], [1]])).tolist() == [101, 102]
  assert cost.unit == 'MAdds'


def test_a_later_change_of_the_table_changes_no_cost():
  table = np.array([1, 2])
  cost = additive_cost('madds', make_space((2,)), [table])
  table[:] = 50
  assert cost.cost((1,)) == 2


@pytest.mark.parametrize('value', [
    np.nan, np.inf, -np.inf, 1e300, np.uint64(2**64 - 1), np.int64(-2**63),
    2**53 + 1,
])
def test_a_cost_that_is_no_usable_number_is_refused(value):
  with pytest.raises(UserError, match=r'cost factor \(0,\).*allowed are finite'):
    Factor((0,), np.array([value]))


@pytest.mark.parametrize('table', [['1'], [True], [None], [1j]])
def test_other_types_are_refused(table):
  with pytest.raises(UserError, match=r'\(0,\): dtype .*allowed are integers'):
    Factor((0,), np.array(table))


@pytest.mark.parametrize('scope', [(1, 0), (0, 0)])
def test_layers_of_a_factor_ascend(scope):
  with pytest.raises(UserError, match='allowed are ascending layer indices'):
    Factor(scope, np.zeros((1, 1)))


def test_a_cost_needs_factors():
  with pytest.raises(UserError, match=r"cost 'madds'.*allowed: at least one"):
    FactoredCost('madds', make_space((1,)), [])


@pytest.mark.parametrize('layer', [-1, 2])
def test_a_factor_names_layers_of_the_space(layer):
  with pytest.raises(UserError, match=r"'madds'.*allowed are layers 0 to 1"):
    FactoredCost(
        'madds', make_space((1, 1)), [Factor((layer,), np.array([1]))]
    )


def test_a_factor_has_the_shape_of_its_layers():
  with pytest.raises(
      UserError, match=r"'madds'.*shape \(3,\).*allowed is \(2,\)"
  ):
    FactoredCost(
        'madds', make_space((2,)), [Factor((0,), np.array([1, 2, 3]))]
    )


@pytest.mark.parametrize('tables', [[[1, 2]], [[1, 2], [3, 4], [5, 6]]])
def test_an_additive_cost_has_a_table_for_every_layer(tables):
  with pytest.raises(UserError, match="'madds'.*allowed"):
    additive_cost('madds', make_space((2, 2)), tables)


def test_a_table_has_the_shape_of_the_space():
  with pytest.raises(UserError, match=r'allowed is \(2, 3\)'):
    table_cost('madds', make_space((2, 3)), np.zeros((3, 2)))
