"""Tests of layernas.study.methods.quantile_regression.

Where Syne Tune is missing, as in continuous integration (docs/testing.md), a
test states that this is said in one line.
"""

import sys

import numpy as np
import pytest

from layernas.study.methods.quantile_regression import QuantileRegression
from tests.search import problems
from tests.study.opponents import check_lives_on_where_everything_fails
from tests.study.opponents import made
from tests.study.opponents import run

pytestmark = pytest.mark.long


def cqr(**settings):
  """The strategy; None where Syne Tune is missing, which is said then."""
  return made(
      QuantileRegression, 'syne_tune', 'syne_tune is not installed',
      'pip install syne-tune', **settings,
  )


def test_missing_package_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'syne_tune', None)
  monkeypatch.setitem(sys.modules, 'syne_tune.config_space', None)
  with problems.refuses('method cqr', 'pip install syne-tune'):
    QuantileRegression()


def test_model_learns_and_keeps_the_limit():
  """Of random networks of the target a fifth are as good as the best."""
  if (strategy := cqr()) is None:
    return
  problem = problems.make_problem([[0, 1, 2, 3]] * 6, high=12)
  trials = run(strategy, problem, 36, 3).trials
  assert len(trials) == 36
  assert all(trial.candidate.cost <= 12 for trial in trials)
  # The model has candidates of the target; only the first five are rejected.
  assert strategy.infeasible < 10
  best = [trial.candidate.architecture[0] == 3 for trial in trials]
  # It draws from its quantiles, so that it goes on exploring.
  assert sum(best[-16:]) > 5


def test_seeds_decide_whatever_others_draw():
  if (strategy := cqr()) is None:
    return
  problem = problems.make_problem([[0, 1, 2, 3]] * 5, high=10)
  np.random.seed(5)  # noqa: NPY002
  expected = np.random.RandomState(5).random(3)
  first, again, other = (
      [t.candidate.architecture for t in run(each, problem, 14, seed).trials]
      for each, seed in ((strategy, 1), (cqr(), 1), (cqr(), 2))
  )
  assert first == again != other
  # NumPy's global source is as it was.
  assert np.random.random(3).tolist() == expected.tolist()  # noqa: NPY002


def test_lives_on_where_everything_fails():
  if (strategy := cqr()) is None:
    return
  check_lives_on_where_everything_fails(strategy)


def test_ends_after_so_many_suggestions():
  if (strategy := cqr(suggestions=7)) is None:
    return
  search = run(strategy, problems.make_problem([[0, 1, 2], [4]]), 99)
  assert len(search.trials) == 7
  assert search.stop_reason == '7 suggestions made'
  with problems.refuses('cqr.suggestions: 0'):
    cqr(suggestions=0)
