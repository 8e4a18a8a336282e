"""Searches that know trials of another task beside those that do not."""

import pytest

from layernas.search import ModelGuided
from tools.perf import other_task


@pytest.fixture(name='trials', scope='module')
def _trials():
  """Of a short search on the other task."""
  return other_task.run(other_task.benchmark_of('c10'), 12, 1).trials


@pytest.mark.parametrize('plan', other_task.PLANS)
def test_what_a_search_is_given(trials, plan):
  problem = other_task.benchmark_of('in16').problem
  known = other_task.known_of(plan, trials, problem, 0)
  if plan == 'alone':
    assert not known
    return
  [task] = known
  found, given = (
      [(one.candidate.architecture, one.evaluation.reward) for one in some]
      for some in (task, trials)
  )
  # The same rewards, of the same architectures unless options are renumbered.
  assert sorted(y for _, y in found) == sorted(y for _, y in given)
  assert (found == given) == (plan == 'other')
  same = sorted(one for one, _ in found) == sorted(one for one, _ in given)
  assert same == (plan != 'renumbered')
  # Costs are those of the search that is given them.
  assert all(
      one.candidate.cost == problem.cost.cost(one.candidate.architecture)
      for one in task
  )


def test_a_search_trains_its_own_trials_alone(trials):
  benchmark = other_task.benchmark_of('in16')
  known = other_task.known_of('other', trials, benchmark.problem, 0)
  search = other_task.run(benchmark, 10, 0, known)
  assert isinstance(search.strategy, ModelGuided)
  assert len(search.trials) == 10
  assert search.best in search.trials


def test_the_table_pairs_seeds():
  lines = [
      {'dataset': dataset, 'trials': trials, 'plan': plan, 'seed': seed,
       'figure': 70.0 + seed + more * (1 + seed / 10)}
      for dataset in other_task.TARGETS for trials in other_task.BUDGETS
      for seed in (3, 1, 0, 2)
      for plan, more in zip(
          other_task.PLANS, (0.0, 1.0, 0.0, -2.0), strict=True
      )
  ]
  rows = other_task.table_text(lines).splitlines()
  assert len(rows) == 2 + 6
  assert rows[2] == (
      '| CIFAR-100 | 30 | 71.50 | +1.15 ± 0.06 (p = 0.125) |'
      ' +0.00 ± 0.00 (p = 1.000) | -2.30 ± 0.13 (p = 0.125) |'
  )
