"""The schedule interleaved, and the entries that it selects."""

import collections
import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Evaluation
from layernas.search import make_schedule
from layernas.search.interleaved import SELECTIONS
from layernas.search.interleaved import SelectableEntries
from layernas.search.table import Entry
from layernas.search.table import linear_axis
from tests.search import problems


def interleaved(problem, seed=0, **settings):
  return problems.sweep_of(problem, seed, 'interleaved', **settings)


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
  schedule = make_schedule('interleaved', entries=entries, options=options)
  first, second = itertools.islice(
      problems.drive(problem, schedule, problems.RandomResults()), 2
  )
  assert [len(first), len(second)] == sizes
  parents = {one.architecture[0] for one in second}
  assert len(parents) == min(entries, len(first))


def test_the_best_entry_is_selected_first():
  problem = problems.make_problem([[0, 10, 20], [1, 2]])
  search = interleaved(problem, options=3, select='best')
  for one in search.ask(3):
    search.tell(one.id, Evaluation([-3.0, -1.0, -2.0][one.architecture[0]]))
  assert {one.architecture[0] for one in search.ask(3)} == {1}


@given(problems.problems(), problems.VISIT_SETTINGS, problems.SEEDS)
def test_it_ends_when_every_entry_has_tried_every_option(problem, visit, seed):
  search = interleaved(problem, seed, buckets=4, **visit)
  problems.run(search, problems.RandomResults(seed, failing=0.1))
  assert search.stop_reason == 'no layer has an entry with an untried option'
  tried = {trial.candidate.architecture for trial in search.trials}
  [layer_pass] = search.strategy.passes
  for length, table in enumerate(layer_pass.tables[:-1], 1):
    for entry in table.entries():
      [family] = layer_pass.children([entry.architecture], length)
      assert {child.architecture for child in family} <= tried


@given(problems.problems(), problems.SEEDS)
def test_axes_over_all_children_where_these_are_few(problem, seed):
  """Then they do not depend on the seed."""
  axes = []
  for visit_seed in (seed, seed + 1):
    search = interleaved(
        problem, visit_seed, buckets=5, axis_samples=problem.space.size
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
    search = interleaved(problem, seed, buckets=5, axis_samples=50)
    search.ask()
    table = search.strategy.passes[0].tables[12]
    assert table.axis.size == 5
    assert 0 < table.axis.edges[0] < table.axis.edges[-1] < 9 * 12
    edges.add(table.axis.edges)
  assert len(edges) == 3


def entry(number, reward=0.0):
  return Entry((number,), number, reward, number)


def entries_of(numbers):
  selectable = SelectableEntries()
  for number in numbers:
    selectable.add(entry(number, float(number % 4)))
  return selectable


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=40),
       st.sampled_from(SELECTIONS))
def test_holds_what_was_added_and_not_discarded(steps, how):
  selectable, expected = SelectableEntries(), set()
  for adds, number in steps:
    if adds and number not in expected:
      selectable.add(entry(number))
      expected.add(number)
    elif not adds:
      selectable.discard((number,))
      expected.discard(number)
    assert len(selectable) == len(expected)
  selected = selectable.select(99, how, random.Random(0))
  assert sorted(e.cost for e in selected) == sorted(expected)


def test_uniform_is_uniform_and_without_repetition():
  selectable, rng = entries_of(range(5)), random.Random(1)
  counts = collections.Counter()
  for _ in range(5000):
    pair = selectable.select(2, 'uniform', rng)
    assert len(set(pair)) == 2
    counts.update(e.cost for e in pair)
  assert all(abs(count - 2000) < 180 for count in counts.values())


@pytest.mark.parametrize(('count', 'expected'), [
    (1, [3]), (3, [3, 7, 2]), (9, [3, 7, 2, 6, 1, 5, 0, 4]),
])
def test_best_takes_rewards_and_of_equals_the_older(count, expected):
  selected = entries_of(range(8)).select(count, 'best', random.Random(0))
  assert [e.cost for e in selected] == expected
