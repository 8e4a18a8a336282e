"""One pass: its start, its order, its tables and their children."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search.cost import table_cost
from layernas.search.layer_pass import STARTS
from layernas.search.layer_pass import LayerPass
from layernas.search.layer_pass import TableSettings
from layernas.search.layer_pass import layer_order
from layernas.search.problem import Problem
from layernas.search.table import Entry
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Proposal
from layernas.search.trial import Status
from layernas.search.trial import Trial
from tests.search import problems


def open_pass(problem, order, start=None, **settings):
  start = problem.space.default if start is None else start
  return LayerPass(problem, order, start, TableSettings(**settings))


def result(proposal, reward, trial=0, status=Status.OK):
  candidate = Candidate(
      trial, proposal.layer, proposal.architecture, proposal.cost, 0
  )
  return Trial(candidate, Evaluation(reward, 1.0, status))


def test_children_take_every_option_and_leave_the_rest_at_the_start():
  problem = problems.make_problem([[1, 2, 3], [10, 20], [100, 200]])
  layer_pass = open_pass(problem, (1, 0, 2), start=(2, 0, 1))
  assert layer_pass.children([(2, 0, 1), (2, 1, 1)], 2) == [
      [
          Proposal((0, 0, 1), 211, 2, 1),
          Proposal((1, 0, 1), 212, 2, 1),
          Proposal((2, 0, 1), 213, 2, 1),
      ],
      [
          Proposal((0, 1, 1), 221, 2, 1),
          Proposal((1, 1, 1), 222, 2, 1),
          Proposal((2, 1, 1), 223, 2, 1),
      ],
  ]


def test_children_that_cannot_reach_the_target_are_dropped_and_counted():
  """Behind the first layer 10 or 20 is to come."""
  problem = problems.make_problem([[1, 9, 25], [10, 20]], low=20, high=30)
  layer_pass = open_pass(problem, (0, 1))
  [family] = layer_pass.children([(0, 0)], 1)
  assert [child.architecture for child in family] == [(0, 0), (1, 0)]
  assert layer_pass.infeasible == [0, 1, 0]
  layer_pass.children([(0, 0)], 2)
  layer_pass.children([(1, 0)], 2)
  assert layer_pass.infeasible == [0, 1, 2]


@given(st.data())
def test_what_is_dropped_has_no_completion_in_the_target(data):
  problem = data.draw(problems.problems(problems.factored_costs))
  space = problem.space
  order = data.draw(st.permutations(range(len(space))))
  layer_pass = open_pass(problem, order)
  for length in range(1, len(space) + 1):
    decided = set(order[:length])
    undecided = set(range(len(space))) - decided
    families = layer_pass.children(
        problems.completions(
            space, space.default, undecided | {order[length - 1]}
        ),
        length,
    )
    kept = {child.architecture for family in families for child in family}
    children = set(problems.completions(space, space.default, undecided))
    assert kept <= children
    assert layer_pass.infeasible[length] == len(children - kept)
    for dropped in children - kept:
      assert not any(
          problem.cost.cost(completion) in problem.target
          for completion in problems.completions(space, dropped, decided)
      )


def test_children_are_placed_in_the_table_of_their_length():
  problem = problems.make_problem([[1, 2], [10, 20]])
  layer_pass = open_pass(problem, (0, 1), buckets=2)
  layer_pass.open_table(np.array([11, 12]))
  layer_pass.open_table(np.array([11, 22]))
  child = Proposal((0, 0), 11, 2, 2)
  layer_pass.place(child, result(child, 0.5, trial=7))
  assert layer_pass.tables[1].entries() == []
  assert list(layer_pass.tables[2].by_bucket()) == [
      (0, [Entry((0, 0), 11, 0.5, 7)])
  ]
  assert layer_pass.tables[2].axis.edges == (16.5,)


def start(name, problem, seed=0):
  return STARTS[name](problem, random.Random(seed))


@given(st.data())
def test_smallest_and_largest_starts_of_additive_costs(data):
  numbers = data.draw(st.sampled_from([problems.PRICES, problems.FLOATS]))
  space = data.draw(problems.spaces())
  problem = Problem(data.draw(problems.additive_costs(space, numbers)))
  costs = [problem.cost.cost(a) for a in problems.architectures(space)]
  assert problem.cost.cost(start('smallest', problem)) == min(costs)
  assert problem.cost.cost(start('largest', problem)) == max(costs)


@given(problems.problems(), problems.SEEDS)
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


def test_smallest_and_largest_look_at_the_layers_to_come():
  """Both options of the first layer have one end of the interval in common."""
  space = problems.make_space(2, 2)
  dear = Problem(table_cost('madds', space, [[0, 0], [0, 5]]))
  assert start('largest', dear) == (1, 1)
  cheap = Problem(table_cost('madds', space, [[5, 5], [5, 0]]))
  assert start('smallest', cheap) == (1, 1)
