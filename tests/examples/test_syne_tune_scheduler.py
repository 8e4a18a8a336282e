"""The Syne Tune example, where Syne Tune is there (docs/testing.md)."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

from layernas.search import Evaluation
from layernas.search import Layer
from layernas.search import Problem
from layernas.search import Search
from layernas.search import SearchSpace
from layernas.search import TargetInterval
from layernas.search import additive_cost
from tests import tiny
from tests.search import problems


def _alone() -> Search:
  """The search of the example, without Syne Tune."""
  space = SearchSpace(
      (Layer('width', (8, 16, 32)), Layer('kernel', (3, 5, 7)))
  )
  cost = additive_cost('madds', space, [[1, 2, 4], [1, 3, 5]])

  def evaluate(candidate):
    chosen = space.describe(candidate.architecture)
    return Evaluation(1 - 1 / chosen['width'] - 1 / chosen['kernel'])

  search = Search(Problem(cost, TargetInterval(high=6)), 'sweep')
  return problems.run(search, evaluate)


@pytest.mark.long
def test_syne_tune_runs_the_trials_of_the_search(
    tmp_path: pathlib.Path
) -> None:
  done = subprocess.run(
      [sys.executable, 'examples/syne_tune_scheduler.py'], cwd=tiny.ROOT,
      env={**os.environ, 'HOME': str(tmp_path), 'PYTHONPATH': '.'},
      capture_output=True, text=True, timeout=300,
  )
  if importlib.util.find_spec('syne_tune') is None:
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert 'Syne Tune is not installed' in line
    assert line.endswith('pip install syne-tune huggingface_hub')
    return
  assert done.returncode == 0, done.stderr
  started = re.findall(
      r'Trial (\d+) started - config: width=(\d+), kernel=(\d)', done.stdout
  )
  search = _alone()
  assert [
      (int(number), {'width': int(width), 'kernel': int(kernel)})
      for number, width, kernel in started
  ] == [
      (one.id, search.problem.space.describe(one.architecture))
      for one in (trial.candidate for trial in search.trials)
  ]
  best = search.problem.space.describe(search.best.candidate.architecture)
  assert done.stdout.splitlines()[-1] == str(best)
