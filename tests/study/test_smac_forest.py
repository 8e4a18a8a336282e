"""Tests of layernas.study.methods.smac_forest.

Where SMAC is missing, a test states that this is said in one line; continuous
integration installs it (docs/testing.md).
"""

import logging
import os
import subprocess
import sys

import pytest

from layernas.study.methods.smac_forest import SmacForest
from tests import tiny
from tests.search import problems
from tests.study.opponents import check_lives_on_where_everything_fails
from tests.study.opponents import made
from tests.study.opponents import run

pytestmark = pytest.mark.long


def smac(**settings):
  """The strategy; None where SMAC is missing, which is said then."""
  return made(
      SmacForest, 'smac', 'SMAC3 is not installed', 'pip install smac',
      **settings,
  )


def test_missing_package_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'smac', None)
  with problems.refuses('method smac', 'pip install smac'):
    SmacForest()


def test_forest_learns_and_keeps_the_limit(tmp_path, monkeypatch):
  """Of random networks of the target a fifth are as good as the best."""
  if (strategy := smac()) is None:
    return
  monkeypatch.chdir(tmp_path)
  problem = problems.make_problem([[0, 1, 2, 3]] * 6, high=12)
  trials = run(strategy, problem, 40, 3).trials
  assert len(trials) == 40
  assert all(trial.candidate.cost <= 12 for trial in trials)
  assert strategy.infeasible > 0
  # Each network once, and SMAC's files nowhere but in a temporary directory.
  assert len({trial.candidate.architecture for trial in trials}) == 40
  assert not os.listdir(tmp_path)
  best = [trial.candidate.architecture[0] == 3 for trial in trials]
  assert sum(best[-16:]) > 8


def test_seeds_decide():
  if (strategy := smac()) is None:
    return
  problem = problems.make_problem([[0, 1, 2, 3]] * 5, high=10)
  first, again, other = (
      [t.candidate.architecture for t in run(each, problem, 16, seed).trials]
      for each, seed in ((strategy, 1), (smac(), 1), (smac(), 2))
  )
  assert first == again != other


def test_hash_seeds_change_nothing():
  """Python's hashes differ from process to process."""
  if smac() is None:
    return
  code = """
from tests.search import problems
from tests.study import opponents
from tests.study import test_smac_forest as here
problem = problems.make_problem([[0, 1, 2, 3]] * 5, high=10)
trials = opponents.run(here.smac(), problem, 12).trials
print([trial.candidate.architecture for trial in trials])
"""
  first, second = (
      subprocess.run(
          [sys.executable, '-c', code], capture_output=True, text=True,
          check=True, cwd=tiny.ROOT,
          env=os.environ | {'PYTHONHASHSEED': seed, 'PYTHONPATH': '.'},
      ).stdout for seed in '12'
  )
  assert first == second


def test_lives_on_where_everything_fails():
  if (strategy := smac()) is None:
    return
  check_lives_on_where_everything_fails(strategy)


def test_ends_where_all_is_known(caplog):
  if (strategy := smac()) is None:
    return
  problem = problems.make_problem([[0, 1, 2]] * 2, high=3)
  with caplog.at_level(logging.INFO):
    search = run(strategy, problem, 99)
  assert search.finished
  assert 'SMAC finds no network' in search.stop_reason
  assert len(search.trials) == 8
  assert not caplog.records
