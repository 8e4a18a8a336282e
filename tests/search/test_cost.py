"""Costs, and the costs that a prefix can still reach."""

import functools
import math
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import Problem
from layernas.search import Search
from layernas.search import TargetInterval
from layernas.search import cost as cost_module
from layernas.search import make_schedule
from layernas.search.cost import CountedCost
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.cost import JointlyBoundedCost
from layernas.search.cost import additive_cost
from layernas.search.cost import cost_text
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


@given(st.data())
def test_joint_intervals_are_exact(data):
  """Whether or not one completion minimises every factor."""
  cost = data.draw(problems.jointly_bounded_costs(data.draw(problems.spaces())))
  prefix = prefixes_of(data, cost)
  assert cost.interval(*prefix) == enumerated(cost, *prefix)


@given(st.data())
def test_joint_intervals_are_sound_where_tables_would_be_large(data):
  cost = data.draw(problems.jointly_bounded_costs(data.draw(problems.spaces())))
  prefix = prefixes_of(data, cost)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(cost_module, '_JOINT', data.draw(st.integers(1, 12)))
    low, high = cost.interval(*prefix)
  least, largest = enumerated(cost, *prefix)
  assert low <= least
  assert largest <= high


def test_joint_intervals_of_long_chains_take_small_tables():
  """Not one over all the layers in between."""
  space = problems.make_space(*[5] * 30)
  rng = np.random.default_rng(0)
  cost = JointlyBoundedCost('cost', space, [
      Factor((i, i + 1), rng.integers(-9, 9, (5, 5))) for i in range(29)
  ])
  low, high = cost.interval(space.default, (0, 29))
  # Dynamic programming from the first layer to the last.
  least = largest = cost.factors[0].table[0]
  for factor in cost.factors[1:]:
    least = (least[:, None] + factor.table).min(0)
    largest = (largest[:, None] + factor.table).max(0)
  assert (low, high) == (least[0], largest[0])
  parts = cost.bounds(frozenset((0, 29)))
  assert max(part.least.size for part in parts) <= 25


@pytest.mark.parametrize('hub', [0, 6, 11])
def test_joint_intervals_are_exact_where_all_share_a_layer(hub):
  """A table of all layers would have 244 million entries."""
  space = problems.make_space(*[5] * 12)
  rng = np.random.default_rng(0)
  tables = [rng.integers(-9, 9, (5, 5)) for _ in range(11)]
  others = [layer for layer in range(12) if layer != hub]
  cost = JointlyBoundedCost('cost', space, [
      Factor((hub, other), table) if hub < other
      else Factor((other, hub), table.T)
      for other, table in zip(others, tables, strict=True)
  ])
  low, high = cost.interval(space.default, ())
  assert low == sum(table.min(1) for table in tables).min()
  assert high == sum(table.max(1) for table in tables).max()


def test_joint_intervals_need_integers():
  with problems.refuses("cost 'ms'", '(0,)', 'floats', 'integers'):
    JointlyBoundedCost('ms', problems.make_space(2), [Factor((0,), [0.5, 1])])


@given(st.data())
def test_counted_costs_know_whole_networks_alone(data):
  cost = data.draw(problems.counted_costs(data.draw(problems.spaces())))
  architecture, decided = prefixes_of(data, cost)
  low, high = cost.interval(architecture, decided)
  if len(problems.completions(cost.space, architecture, decided)) == 1:
    assert low == high == cost.cost(architecture)
  else:
    assert (low, high) == (-math.inf, math.inf)


def test_a_network_is_counted_once():
  asked = []
  def count(one):
    asked.append(one)
    return sum(one)

  cost = CountedCost(
      'cost', problems.make_space(3, 3), count, known={(0, 0): 7}
  )
  assert cost.costs(np.array([[0, 0], [1, 2], [1, 2]])).tolist() == [7, 3, 3]
  assert cost.cost((1, 2)) == 3
  assert cost.interval((1, 2), (0, 1)) == (3, 3)
  assert asked == [(1, 2)]


@pytest.mark.parametrize('costs', [
    problems.factored_costs, problems.jointly_bounded_costs,
    problems.counted_costs,
])
@given(st.data(), problems.spaces())
def test_children_are_priced_exactly_as_single_architectures(
    costs, data, space
):
  cost = data.draw(costs(space))
  order = data.draw(st.permutations(range(len(space))))
  length = data.draw(st.integers(1, len(space)))
  decided, layer = order[:length - 1], order[length - 1]
  prefix = st.tuples(*(st.integers(0, n - 1) for n in space.option_counts))
  prefixes = data.draw(st.lists(prefix, min_size=1, max_size=4))

  priced = cost.child_costs(np.array(prefixes), decided, layer)

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
  priced = cost.child_costs(np.array([[0, 0]]), (), 0)
  for array in (priced.cost, priced.low, priced.high):
    assert array.dtype.kind == kind
    assert array.shape == (1, 2)


@pytest.mark.parametrize('name', [
    'sweep', 'interleaved', 'recentred', 'model_guided',
])
@pytest.mark.parametrize('start', ['default', 'smallest', 'largest', 'random'])
def test_every_schedule_searches_with_a_counted_cost(name, start):
  """Only whole networks can be checked; the answers are in the target."""
  space = problems.make_space(3, 2, 3, 2)
  def count(one):
    return (7 * one[0] + 5 * one[1] * one[2] + 3 * one[3] + sum(one)) % 11

  problem = Problem(CountedCost('cost', space, count), TargetInterval(4, 5))
  inside = {
      one for one in problems.architectures(space)
      if count(one) in problem.target
  }
  settings = {'start': start} if name != 'model_guided' else {
      'design': 4, 'random': 20, 'batch': 2,
  }
  search = Search(problem, make_schedule(name, **settings), Budget(trials=60))
  problems.run(search, problems.RandomResults(3))
  assert search.trials
  for trial in search.trials:
    one = trial.candidate.architecture
    assert trial.candidate.cost == count(one)
    assert (one in inside) == (trial.candidate.cost in problem.target)
  assert search.best.candidate.architecture in inside
  tables = [one.tables[-1] for one in search.strategy.passes or ()]
  for entry in (entry for table in tables for entry in table.entries()):
    assert entry.architecture in inside


def test_a_sweep_with_room_for_all_meets_every_network_of_the_target():
  """With a counted cost as with a table of all costs."""
  space = problems.make_space(3, 2, 3)
  def count(one):
    return 3 * one[0] * one[2] + one[1]

  target = TargetInterval(3, 7)
  search = problems.sweep_of(
      Problem(CountedCost('cost', space, count), target), buckets=50, keep=50
  )
  problems.run(search, problems.RandomResults())
  [layer_pass] = search.strategy.passes
  assert {entry.architecture for entry in layer_pass.tables[-1].entries()} == {
      one for one in problems.architectures(space) if count(one) in target
  }


@pytest.mark.parametrize(('cost', 'text'), [
    (1_776_896, '1,776,896'), (1.8e6, '1,800,000'), (4e4, '40,000'),
    (0.0844728123, '0.0844728'), (1234.5678, '1,234.57'), (1e20, '1e+20'),
    (10**20, '100,000,000,000,000,000,000'), (-math.inf, '-inf'),
    (math.nan, 'nan'),
])
def test_a_cost_as_text(cost, text):
  assert cost_text(cost) == text
