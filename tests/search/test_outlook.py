"""Whether a layerwise search reaches its last layer within its budget."""

import random

import pytest

from layernas.search import Budget
from layernas.search import Enqueued
from layernas.search import Evaluation
from layernas.search import Finalists
from layernas.search import Search
from layernas.search import Sweep
from layernas.search import make_schedule
from layernas.search.outlook import outlook
from tests.search import problems


def search_of(schedule, trials, **settings):
  problem = problems.make_problem([[1, 2, 3]] * 12)
  return Search(problem, make_schedule(schedule, **settings), Budget(trials))


_RESULTS = problems.RandomResults(5)


def played(search, evaluate=_RESULTS):
  """Layers reached by the search itself, and its trials."""
  problems.run(search, evaluate)
  tables = search.strategy.proposer.passes[0].tables[1:]
  return sum(len(table) > 0 for table in tables), len(search.trials)


def test_a_budget_that_ends_early_is_named():
  found = outlook(search_of('sweep', 60, buckets=100))
  reached, _ = played(search_of('sweep', 60, buckets=100))
  assert (found.layers, found.of) == (reached, 12)
  assert reached < 12
  assert f'ends in layer {reached} of 12' in str(found)
  assert 'search.schedule=model_guided' in str(found)


def test_what_it_names_is_enough():
  found = outlook(search_of('sweep', 60, buckets=100))
  assert played(search_of('sweep', 60, buckets=found.buckets))[0] == 12
  assert played(search_of('sweep', found.trials, buckets=100))[0] == 12
  assert str(found.trials) in str(found)
  assert played(search_of('sweep', found.trials // 2, buckets=100))[0] < 12


def wrapped(trials, buckets=100):
  """A third of the trials are for repeats, two for what is tried first."""
  first = ((0,) * 12, (1,) * 12)
  search = search_of('sweep', trials)
  strategy = Finalists(Enqueued(Sweep(buckets), first), 1 / 3)
  return Search(search.problem, strategy, search.budget)


def noisy(candidate):
  """Otherwise nothing would be repeated."""
  return Evaluation(random.Random(candidate.seed).random())


@pytest.mark.parametrize('trials', [60, 100, 140])
def test_what_wrappers_keep_for_themselves_counts(trials):
  found = outlook(wrapped(trials))
  assert found.layers == played(wrapped(trials), noisy)[0] < 12
  assert played(wrapped(trials, found.buckets), noisy)[0] == 12
  assert played(wrapped(found.trials), noisy)[0] == 12
  # A search that goes on is told the same.
  begun = wrapped(trials)
  problems.run(begun, noisy)
  assert outlook(begun) == found


@pytest.mark.parametrize(('schedule', 'settings'), [
    ('sweep', {'buckets': 2}), ('recentred', {'buckets': 2}),
    ('interleaved', {}),
])
def test_a_budget_that_is_enough(schedule, settings):
  found = outlook(search_of(schedule, 150, **settings))
  assert found.layers == found.of == 12
  assert 'enough' in str(found)


def test_it_changes_nothing():
  search = search_of('sweep', 60)
  outlook(search)
  assert not search.trials
  assert problems.run(search, problems.RandomResults(1)).trials == problems.run(
      search_of('sweep', 60), problems.RandomResults(1)
  ).trials


def test_without_layers_to_come_through():
  assert outlook(search_of('model_guided', 60)) is None
  assert outlook(search_of('sweep', float('inf'))) is None


def test_a_large_budget_is_not_played():
  """A search of weeks begins at once."""
  assert outlook(search_of('sweep', 100_000)) is None
  problem = problems.make_problem([[1, 2, 3, 4]] * 40)
  found = outlook(
      Search(problem, make_schedule('sweep'), Budget(trials=1000))
  )
  assert (found.layers < 40, found.trials) == (True, 0)
