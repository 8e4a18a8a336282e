"""Tests of layernas.search.layer_pass."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search.layer_pass import LayerPass
from layernas.search.layer_pass import TableSettings
from layernas.search.table import SPACINGS
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


def test_a_pass_begins_with_its_start_alone():
  problem = problems.make_problem([[1, 2], [3, 4]])
  layer_pass = open_pass(problem, (1, 0), start=(1, 1))
  assert layer_pass.tables[0].entries() == [Entry((1, 1), 6)]
  assert len(layer_pass.tables) == 1


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


@given(st.data())
def test_with_additive_costs_what_is_kept_can_come_into_the_target(data):
  """Where the target has one end: between two ends there may be a gap."""
  space = data.draw(problems.spaces())
  cost = data.draw(problems.additive_costs(space))
  every = [cost.cost(a) for a in problems.architectures(space)]
  high = data.draw(st.sampled_from(every))
  problem = problems.Problem(cost, problems.TargetInterval(high=high))
  layer_pass = open_pass(problem, range(len(space)))
  prefixes = [space.default]
  for length in range(1, len(space) + 1):
    families = layer_pass.children(prefixes, length)
    prefixes = [child.architecture for family in families for child in family]
    for prefix in prefixes:
      assert any(
          problem.cost.cost(completion) in problem.target for completion in
          problems.completions(space, prefix, range(length))
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


@pytest.mark.parametrize('status', [Status.FAILED, Status.NAN])
def test_a_child_without_a_reward_has_no_place(status):
  problem = problems.make_problem([[1, 2]])
  layer_pass = open_pass(problem, (0,))
  layer_pass.open_table(np.array([1, 2]))
  child = Proposal((1,), 2, 1, 1)
  layer_pass.place(child, result(child, None, status=status))
  assert len(layer_pass.tables[1]) == 0


def test_tables_follow_the_settings():
  layer_pass = open_pass(
      problems.make_problem([[1, 2]]), (0,), buckets=2, keep=3, spacing='log'
  )
  layer_pass.open_table(np.array([1, 100]))
  assert layer_pass.tables[1].keep == 3
  np.testing.assert_allclose(layer_pass.tables[1].axis.edges, [10])


def test_the_settings_of_the_paper_are_the_defaults():
  assert TableSettings() == TableSettings(100, 1, 'linear')


@pytest.mark.parametrize('field', ['buckets', 'keep'])
@pytest.mark.parametrize('value', [0, -2])
def test_numbers_are_at_least_one(field, value):
  with problems.refuses(f'search.{field}', str(value), '>= 1'):
    TableSettings(**{field: value})


def test_spacings_have_names():
  with problems.refuses('search.spacing', "'cubic'", *map(repr, SPACINGS)):
    TableSettings(spacing='cubic')
