"""Costs, and the costs that a prefix can still reach."""

import functools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.cost import additive_cost
from layernas.search.cost import child_costs
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


@st.composite
def enumerated_costs(draw, space):
  """A table over all layers."""
  return table_cost('cost', space, draw(problems.tables(space.option_counts)))


@pytest.mark.parametrize('costs', [
    lambda space: problems.additive_costs(space, problems.FLOATS),
    lambda space: problems.factored_costs(space, ascending),
    enumerated_costs,
])
@given(st.data())
def test_reachable_intervals_are_exact(costs, data):
  """Of additive costs, of those that grow with options, of tables."""
  cost = data.draw(costs(data.draw(problems.spaces(max_layers=3))))
  prefix = prefixes_of(data, cost)
  assert cost.interval(*prefix) == enumerated(cost, *prefix)


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


@given(st.data(), problems.spaces())
def test_children_are_priced_exactly_as_single_architectures(data, space):
  cost = data.draw(problems.factored_costs(space))
  order = data.draw(st.permutations(range(len(space))))
  length = data.draw(st.integers(1, len(space)))
  decided, layer = order[:length - 1], order[length - 1]
  prefix = st.tuples(*(st.integers(0, n - 1) for n in space.option_counts))
  prefixes = data.draw(st.lists(prefix, min_size=1, max_size=4))

  priced = child_costs(cost, np.array(prefixes), decided, layer)

  for row, parent in enumerate(prefixes):
    for option in range(space.option_counts[layer]):
      child = parent[:layer] + (option,) + parent[layer + 1:]
      # Python's numbers: NumPy's lose digits where they compare.
      assert priced.cost.item(row, option) == cost.cost(child)
      assert (
          priced.low.item(row, option), priced.high.item(row, option)
      ) == cost.interval(child, [*decided, layer])


@pytest.mark.parametrize(
    ('tables', 'kind'),
    [([[1, 2], [3]], 'i'), ([[1.5, 2], [3]], 'f'), ([[0, 2], [3.5]], 'f')],
)
def test_integer_costs_stay_integers(tables, kind):
  cost = additive_cost('madds', problems.make_space(2, 1), tables)
  priced = child_costs(cost, np.array([[0, 0]]), (), 0)
  for array in (priced.cost, priced.low, priced.high):
    assert array.dtype.kind == kind
    assert array.shape == (1, 2)
