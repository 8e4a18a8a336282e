"""Tests of layernas.search.cost."""

import functools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.cost import additive_cost
from layernas.search.cost import table_cost
from tests.search import problems


def prefixes_of(data, cost):
  """A random architecture and a random set of decided layers."""
  every = problems.architectures(cost.space)
  architecture = data.draw(st.sampled_from(every))
  layers = st.sets(st.integers(0, len(cost.space) - 1))
  return architecture, data.draw(layers)


def enumerated(cost, architecture, decided):
  """Smallest and largest cost of all completions, the slow way."""
  costs = [
      cost.cost(completion) for completion in
      problems.completions(cost.space, architecture, decided)
  ]
  return min(costs), max(costs)


def ascending(table):
  """Grows along every axis."""
  for axis in range(table.ndim):
    table = np.sort(table, axis)
  return table


@given(st.data())
def test_reachable_intervals_hold_every_completion(data):
  cost = data.draw(problems.factored_costs(data.draw(problems.spaces())))
  prefix = prefixes_of(data, cost)
  low, high = cost.interval(*prefix)
  least, largest = enumerated(cost, *prefix)
  assert low <= least
  assert largest <= high


@given(st.data())
def test_reachable_intervals_of_additive_costs_are_exact(data):
  numbers = data.draw(st.sampled_from([problems.INTEGERS, problems.FLOATS]))
  space = data.draw(problems.spaces())
  cost = data.draw(problems.additive_costs(space, numbers))
  prefix = prefixes_of(data, cost)
  assert cost.interval(*prefix) == enumerated(cost, *prefix)


@given(st.data())
def test_reachable_intervals_are_exact_where_costs_grow_with_options(data):
  space = data.draw(problems.spaces())
  cost = data.draw(problems.factored_costs(space, ascending))
  prefix = prefixes_of(data, cost)
  assert cost.interval(*prefix) == enumerated(cost, *prefix)


@given(st.data())
def test_reachable_intervals_of_enumerated_costs_are_exact(data):
  space = data.draw(problems.spaces(max_layers=3))
  cost = table_cost('cost', space, data.draw(
      problems.tables(space.option_counts)
  ))
  prefix = prefixes_of(data, cost)
  assert cost.interval(*prefix) == enumerated(cost, *prefix)


@given(st.data())
def test_undecided_options_do_not_matter(data):
  cost = data.draw(problems.factored_costs(data.draw(problems.spaces())))
  architecture, decided = prefixes_of(data, cost)
  other, _ = prefixes_of(data, cost)
  mixed = tuple(
      architecture[layer] if layer in decided else option
      for layer, option in enumerate(other)
  )
  assert cost.interval(mixed, decided) == cost.interval(architecture, decided)


@given(st.data())
def test_the_interval_of_a_complete_architecture_is_its_cost(data):
  cost = data.draw(problems.factored_costs(data.draw(problems.spaces())))
  every_layer = range(len(cost.space))
  for architecture in problems.architectures(cost.space):
    price = cost.cost(architecture)
    assert cost.interval(architecture, every_layer) == (price, price)


@given(st.data())
def test_summands_are_added_from_left_to_right(data):
  """As `interval` does; else bounds would not hold to the last bit."""
  space = data.draw(problems.spaces())
  cost = data.draw(problems.additive_costs(space, problems.FLOATS))
  for architecture in problems.architectures(space):
    summands = [
        factor.table.item(tuple(architecture[layer] for layer in factor.scope))
        for factor in cost.factors
    ]
    assert cost.cost(architecture) == functools.reduce(operator.add, summands)


@given(st.data())
def test_costs_of_many_are_the_costs_of_each(data):
  cost = data.draw(problems.factored_costs(data.draw(problems.spaces())))
  every = problems.architectures(cost.space)
  assert cost.costs(np.array(every)).tolist() == [cost.cost(a) for a in every]


def test_integer_costs_stay_exact_integers():
  space = problems.make_space(2, 2)
  cost = additive_cost('madds', space, [[1, 2**53 - 1], [2, 2**53 - 2]], 7)
  assert cost.cost((1, 1)) == 2**54 + 4
  assert isinstance(cost.cost((1, 1)), int)
  assert cost.interval((0, 0), ()) == (10, 2**54 + 4)


def test_a_product_of_widths_by_hand():
  """Two layers of a network: 3 * w0 + w0 * w1 with widths 2, 4 and 1, 5."""
  space = problems.make_space(2, 2)
  cost = FactoredCost(
      'params', space,
      [Factor((0,), [6, 12]), Factor((0, 1), [[2, 10], [4, 20]])],
  )
  assert [cost.cost(a) for a in problems.architectures(space)] == [
      8, 16, 16, 32,
  ]
  assert cost.interval((0, 1), {0}) == (8, 16)
  assert cost.interval((0, 1), {1}) == (16, 32)


def test_a_constant_counts():
  space = problems.make_space(2)
  assert additive_cost('c', space, [[1, 2]], 0.5).cost((1,)) == 2.5


def test_the_tables_of_a_cost_are_its_own():
  table = np.array([1, 2])
  cost = additive_cost('c', problems.make_space(2), [table])
  table[:] = 9
  assert cost.cost((1,)) == 2


@pytest.mark.parametrize(
    ('table', 'value'),
    [
        ([1, float('nan')], 'nan'),
        ([1, float('inf')], 'inf'),
        ([1, -float('inf')], '-inf'),
        ([1, 2**53], str(2**53)),
        ([1, -(2**53)], str(-(2**53))),
        (np.array([1, 2**64 - 1], np.uint64), str(2**64 - 1)),
        (np.array([1, -(2**63)]), str(-(2**63))),
        ([1, 1e300], '1e+300'),
    ],
)
def test_costs_are_finite_numbers(table, value):
  with problems.refuses('cost factor (0,)', f'cost {value}:', '-9,007'):
    Factor((0,), table)


@pytest.mark.parametrize('table', [['1', '2'], [True, False], [1j, 2], [None]])
def test_costs_are_numbers(table):
  with problems.refuses('cost factor (0,)', 'dtype', 'integers and floats'):
    Factor((0,), table)


@pytest.mark.parametrize('scope', [(1, 0), (0, 0)])
def test_layers_of_a_factor_ascend(scope):
  with problems.refuses(f'cost factor {scope}'):
    Factor(scope, [[1]])


@pytest.mark.parametrize('layer', [-1, 2])
def test_layers_of_a_factor_exist(layer):
  with problems.refuses("cost 'params'", f'({layer},)', '0 to 1'):
    FactoredCost(
        'params', problems.make_space(2, 3), [Factor((layer,), [1, 2])]
    )


def test_a_factor_has_an_entry_per_option():
  with problems.refuses("cost 'params'", '(1,)', '(2,)', '(3,)'):
    additive_cost('params', problems.make_space(2, 3), [[1, 2], [1, 2]])


def test_a_cost_has_factors():
  with problems.refuses("cost 'params'", 'no factors'):
    FactoredCost('params', problems.make_space(2), [])
