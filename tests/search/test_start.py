"""Tests of layernas.search.layer_pass."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.search.cost import table_cost
from layernas.search.layer_pass import ORDERS
from layernas.search.layer_pass import STARTS
from layernas.search.layer_pass import layer_order
from layernas.search.problem import Problem
from tests.search import problems


def start(name, problem, seed=0):
  return STARTS[name](problem, random.Random(seed))


@given(problems.problems())
def test_default_start_is_the_default(problem):
  assert start('default', problem) == problem.space.default


@given(st.data())
def test_smallest_and_largest_starts_of_additive_costs(data):
  numbers = data.draw(st.sampled_from([problems.PRICES, problems.FLOATS]))
  space = data.draw(problems.spaces())
  problem = Problem(data.draw(problems.additive_costs(space, numbers)))
  costs = [problem.cost.cost(a) for a in problems.architectures(space)]
  assert problem.cost.cost(start('smallest', problem)) == min(costs)
  assert problem.cost.cost(start('largest', problem)) == max(costs)


@given(problems.problems(), problems.SEEDS)
@settings(max_examples=50)
def test_random_starts_lie_in_the_target(problem, seed):
  drawn = start('random', problem, seed)
  problem.space.check(drawn)
  assert problem.cost.cost(drawn) in problem.target
  assert start('random', problem, seed) == drawn


def test_random_starts_are_uniform_over_the_feasible_networks():
  """Costs 0 to 6: ten of the 27 networks cost at most 2."""
  problem = problems.make_problem([[0, 1, 2]] * 3, high=2)
  rng = random.Random(0)
  drawn = Counter(STARTS['random'](problem, rng) for _ in range(1000))
  assert len(drawn) == 10
  # Binomial with mean 100 and standard deviation 9.5.
  assert all(60 < count < 140 for count in drawn.values())


def test_random_starts_are_found_where_feasible_networks_are_rare():
  """One network in 3**12 costs 24, twelve more cost 23."""
  problem = problems.make_problem([[0, 1, 2]] * 12, low=23)
  found = {start('random', problem, seed) for seed in range(10)}
  assert {sum(one) for one in found} <= {23, 24}
  assert len(found) > 1


def test_no_random_start_in_a_gap_between_costs():
  problem = problems.make_problem([[0, 1000]], low=400, high=600)
  with problems.refuses('target interval', '[400, 600]', '2,000 draws'):
    start('random', problem)


@pytest.mark.parametrize(
    ('name', 'number', 'order'),
    [
        ('forward', 0, (0, 1, 2)),
        ('forward', 1, (0, 1, 2)),
        ('backward', 0, (2, 1, 0)),
        ('backward', 1, (2, 1, 0)),
        ('alternating', 0, (0, 1, 2)),
        ('alternating', 1, (2, 1, 0)),
        ('alternating', 2, (0, 1, 2)),
    ],
)
def test_orders(name, number, order):
  assert layer_order(name, 3, number, random.Random(0)) == order


@pytest.mark.parametrize('name', ORDERS)
@pytest.mark.parametrize('layers', [1, 2, 5])
def test_every_order_is_a_permutation(name, layers):
  for number in range(3):
    order = layer_order(name, layers, number, random.Random(number))
    assert sorted(order) == list(range(layers))


def test_random_orders_differ_by_the_random_source_alone():
  orders = [layer_order('random', 9, 0, random.Random(i)) for i in range(9)]
  assert len(set(orders)) == 9
  assert orders[3] == layer_order('random', 9, 5, random.Random(3))


def test_smallest_and_largest_look_at_the_layers_to_come():
  """Both options of the first layer have one end of the interval in common."""
  space = problems.make_space(2, 2)
  dear = Problem(table_cost('madds', space, [[0, 0], [0, 5]]))
  assert start('largest', dear) == (1, 1)
  cheap = Problem(table_cost('madds', space, [[5, 5], [5, 0]]))
  assert start('smallest', cheap) == (1, 1)
