"""Tests of layernas.search.interleaved."""

import itertools

import numpy as np
import pytest
from hypothesis import given

from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import Status
from layernas.search import make_schedule
from layernas.search.interleaved import SELECTIONS
from layernas.search.interleaved import VisitSettings
from layernas.search.layer_pass import TableSettings
from layernas.search.sweep import PassSettings
from layernas.search.table import linear_axis
from tests.search import problems


def interleaved(problem, visit=None, seed=0, buckets=100, **settings):
  schedule = make_schedule(
      'interleaved',
      PassSettings(TableSettings(buckets), **settings),
      VisitSettings(**(visit or {})),
  )
  return Search(problem, schedule, seed=seed)


def layers_of(search):
  return [trial.candidate.layer for trial in search.trials]


def test_full_networks_appear_after_one_round():
  problem = problems.make_problem([[1, 2, 3]] * 4)
  generations = problems.drive(
      problem, make_schedule('interleaved'), problems.RandomResults()
  )
  visits = itertools.islice(generations, 12)
  assert [[one.length for one in visit] for visit in visits] == (
      [[1], [2], [3], [4]] * 3
  )


@pytest.mark.parametrize(
    ('entries', 'options', 'sizes'),
    [(1, 1, [1, 1]), (1, 3, [3, 3]), (2, 2, [2, 4]), (9, 9, [3, 12])],
)
def test_a_visit_tries_options_of_entries(entries, options, sizes):
  """The children of a layer all differ in cost and are kept."""
  problem = problems.make_problem([[0, 10, 20], [1, 2, 3, 4]])
  schedule = make_schedule(
      'interleaved', visit=VisitSettings(entries, options)
  )
  first, second = itertools.islice(
      problems.drive(problem, schedule, problems.RandomResults()), 2
  )
  assert [len(first), len(second)] == sizes
  parents = {one.architecture[0] for one in second}
  assert len(parents) == min(entries, len(first))


def test_the_best_entry_is_selected_first():
  problem = problems.make_problem([[0, 10, 20], [1, 2]])
  search = interleaved(problem, {'options': 3, 'select': 'best'})
  for one in search.ask(3):
    search.tell(one.id, Evaluation([-3.0, -1.0, -2.0][one.architecture[0]]))
  assert {one.architecture[0] for one in search.ask(3)} == {1}


def test_entries_are_selected_at_random_else():
  problem = problems.make_problem([[0, 10, 20], [1, 2, 3]], default=2)
  selected = set()
  for seed in range(20):
    search = interleaved(problem, {'options': 3}, seed)
    for one in search.ask(3):
      search.tell(one.id, Evaluation(float(one.architecture[0])))
    selected |= {one.architecture[0] for one in search.ask(3)}
  assert selected == {0, 1, 2}


@given(problems.problems(), problems.VISIT_SETTINGS, problems.SEEDS)
def test_it_ends_when_every_entry_has_tried_every_option(problem, visit, seed):
  schedule = make_schedule('interleaved', PassSettings(TableSettings(4)), visit)
  search = Search(problem, schedule, seed=seed)
  problems.run(search, problems.RandomResults(seed, failing=0.1))
  assert search.stop_reason == 'no layer has an entry with an untried option'
  tried = {trial.candidate.architecture for trial in search.trials}
  [layer_pass] = search.strategy.passes
  for length, table in enumerate(layer_pass.tables[:-1], 1):
    for entry in table.entries():
      [family] = layer_pass.children([entry.architecture], length)
      assert {child.architecture for child in family} <= tried


def test_a_layer_without_entries_is_passed_over():
  problem = problems.make_problem([[1, 2, 3], [1, 2]])
  search = problems.run(
      interleaved(problem), lambda one: Evaluation(None, status=Status.FAILED)
  )
  assert layers_of(search) == [1, 1, 1]
  assert search.stop_reason == 'no layer has an entry with an untried option'


def test_an_order_is_visited_in_a_ring():
  problem = problems.make_problem([[1, 2, 3]] * 3, default=2)
  search = problems.run(
      interleaved(problem, {'options': 3}, order='backward'),
      problems.RandomResults(), 7,
  )
  assert list(dict.fromkeys(layers_of(search))) == [3, 2, 1]


@given(problems.problems(), problems.SEEDS)
def test_axes_over_all_children_where_these_are_few(problem, seed):
  """Then they do not depend on the seed."""
  axes = []
  for visit_seed in (seed, seed + 1):
    search = interleaved(
        problem, {'axis_samples': problem.space.size}, visit_seed, buckets=5
    )
    search.ask()
    [layer_pass] = search.strategy.passes
    axes.append([table.axis for table in layer_pass.tables])
  assert axes[0] == axes[1]
  space = problem.space
  for length in range(1, len(space) + 1):
    costs = [
        problem.cost.cost(child) for child in problems.completions(
            space, space.default, range(length, len(space))
        )
        if problem.target.meets(*problem.cost.interval(child, range(length)))
    ]
    if costs:
      assert linear_axis(np.array(costs), 5) == axes[0][length]


def test_axes_over_samples_where_children_are_many():
  problem = problems.make_problem([list(range(10))] * 12)
  edges = set()
  for seed in range(3):
    search = interleaved(problem, {'axis_samples': 50}, seed, buckets=5)
    search.ask()
    table = search.strategy.passes[0].tables[12]
    assert table.axis.size == 5
    assert 0 < table.axis.edges[0] < table.axis.edges[-1] < 9 * 12
    edges.add(table.axis.edges)
  assert len(edges) == 3


def test_there_is_no_bound():
  """A better entry gets children of its own after its forerunner had some.

  With one bucket H * keep * sum|S_l| would be 12.
  """
  problem = problems.make_problem([[1, 2, 3]] * 4)
  most = 0
  for seed in range(10):
    search = interleaved(problem, seed=seed, buckets=1)
    assert search.bound is None
    problems.run(search, problems.RandomResults(seed))
    most = max(most, len(search.trials))
  assert most > 12


@pytest.mark.parametrize('field', ['entries', 'options', 'axis_samples'])
@pytest.mark.parametrize('value', [0, -1])
def test_numbers_are_at_least_one(field, value):
  with problems.refuses(f'search.visit.{field}', str(value), '>= 1'):
    VisitSettings(**{field: value})


def test_selections_have_names():
  with problems.refuses(
      'search.visit.select', "'worst'", *map(repr, SELECTIONS)
  ):
    VisitSettings(select='worst')
