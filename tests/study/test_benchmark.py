"""A benchmark: signal, report, limits, noise and failures."""

import math

import numpy as np
import pytest

from layernas.search import Candidate
from layernas.search import Status
from layernas.search import TargetInterval
from layernas.study.tables.benchmark import HELD_OUT
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.benchmark import TableEvaluator
from layernas.study.tables.table import BenchmarkTable
from tests.search import problems


def table():
  space = problems.make_space(2, 2)
  base = np.arange(4.0).reshape(2, 2)
  return BenchmarkTable('small', space, {
      'one': base + 0.1, 'two': base + 0.2, 'three': base + 0.3,
      'final': 10 - base, 'flops': np.array([[1, 2], [3, 4]]),
      'time': base + 1,
  })


def benchmark(rewards=('one',), report='final', **changes):
  return Benchmark('b', table(), rewards, report, 'flops', **changes)


def candidate(architecture, trial=0, seed=5):
  return Candidate(trial, 0, architecture, 0, seed)


def test_query_gives_reward_and_seconds():
  evaluate = TableEvaluator(benchmark(seconds='time'), seed=0)
  evaluation = evaluate(candidate((1, 0)))
  assert evaluation.reward == 2.1
  assert evaluation.seconds == 3.0
  assert TableEvaluator(benchmark(), 0)(candidate((1, 0))).seconds == 0.0


@pytest.mark.parametrize(('seed', 'first', 'second', 'held'), [
    (0, 'one', 'two', 'three'), (1, 'two', 'three', 'one'),
    (2, 'three', 'one', 'two'), (3, 'one', 'two', 'three'),
])
def test_trainings_rotate_and_one_is_held_out(seed, first, second, held):
  rotating = benchmark(('one', 'two', 'three'), HELD_OUT)
  evaluate = TableEvaluator(rotating, seed)
  rewards = [evaluate(candidate((1, 0), n)).reward for n in range(3)]
  columns = rotating.table.columns
  assert rewards == [
      columns[first][1, 0], columns[second][1, 0], columns[first][1, 0]
  ]
  assert rotating.reported((1, 0), seed) == columns[held][1, 0]
  # Another architecture begins with the first training.
  assert evaluate(candidate((0, 0))).reward == columns[first][0, 0]


def test_optimum_is_the_best_report_under_the_limit():
  assert benchmark().optimum == 10.0
  limited = benchmark(target=TargetInterval(2, 3))
  assert limited.optimum == 9.0
  feasible = limited.table.feasible(limited.cost, limited.target)
  assert feasible.tolist() == [[False, True], [True, False]]


def test_noise_depends_on_the_trial_alone():
  noisy = benchmark(noise=0.5)
  rewards = [
      TableEvaluator(noisy, 0)(candidate((0, 0), seed=seed)).reward
      for seed in [*range(400), 0]
  ]
  assert rewards[0] == rewards[-1]
  assert np.std(rewards) == pytest.approx(0.5, rel=0.15)
  assert np.mean(rewards) == pytest.approx(0.1, abs=0.1)


def test_configured_share_of_queries_fails():
  failing = TableEvaluator(benchmark(failing=0.25, seconds='time'), 0)
  results = [failing(candidate((1, 1), seed=seed)) for seed in range(400)]
  failed = [r for r in results if r.status is Status.FAILED]
  assert 70 <= len(failed) <= 130
  assert {r.seconds for r in results} == {4.0}
  assert {r.reward for r in results if r.status is Status.OK} == {3.1}


@pytest.mark.parametrize(('changes', 'parts'), [
    ({'rewards': ()}, ('rewards', 'at least 1')),
    ({'rewards': ('one', 'two'), 'report': HELD_OUT}, ('at least 3',)),
    ({'rewards': ('four',)}, ("'four'", 'final')),
    ({'report': 'four'}, ("'four'", 'final')),
    ({'seconds': 'four'}, ("'four'", 'final')),
    ({'noise': -1.0}, ('noise -1.0',)),
    ({'noise': math.nan}, ('noise nan',)),
    ({'failing': 1.0}, ('failing 1.0',)),
])
def test_what_does_not_fit_is_refused(changes, parts):
  with problems.refuses(*parts):
    benchmark(**changes)


def test_target_that_no_network_reaches():
  with problems.refuses('flops', 'reachable are 1 to 4'):
    _ = benchmark(target=TargetInterval(5, 6)).problem
