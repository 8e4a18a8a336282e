"""A study of four networks whose statistics can be found by hand."""

from typing import Any

import numpy as np
from ml_collections import ConfigDict

from configs.study import default
from layernas.search import Budget
from layernas.search import Layer
from layernas.search import SearchSpace
from layernas.search import TargetInterval
from layernas.study.summary import summarise
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.table import BenchmarkTable

_TABLE = BenchmarkTable(
    'four_networks',
    SearchSpace((Layer('a', (0, 1)), Layer('b', (0, 1)))),
    {
        'signal': np.array([[1.0, 2.0], [3.0, 4.0]]),
        'test': np.array([[50.0, 60.0], [80.0, 90.0]]),
        'madds': np.array([[1, 2], [3, 9]]),
        'time': np.array([[10.0, 10.0], [40.0, 70.0]]),
    },
)

BENCHMARK = Benchmark(
    'toy', _TABLE, ('signal',), 'test', 'madds', TargetInterval(high=5),
    'time', Budget(seconds=100.0),
)


def config(compared: str = 'layernas', **changes: Any) -> ConfigDict:
  """Config of the study; changes are those of the benchmark's section."""
  study = default.get_config()
  study.title = 'A tiny study'
  study.compared = compared
  study.curve_points = 5
  study.accountings = ('every_query',)
  study.benchmarks.toy = default.benchmark(
      signal='short training', metric='test accuracy, %', protocol='toy split',
      **changes,
  )
  study.benchmarks.toy.published.evolution = (70.5, 1.25, 'a paper, table 3')
  study.methods.layernas = default.method('layernas', buckets=5)
  study.methods.random = default.method('random')
  return study


def record(
    method: str, seed: int, answer: str | None, *curve: tuple[Any, ...],
    **changes: Any,
) -> dict[str, Any]:
  """A run: its answer and the rows of its curve."""
  trials, seconds = curve[-1][:2] if curve else (2, 140.0)
  return {
      'benchmark': 'toy', 'accounting': 'every_query', 'method': method,
      'seed': seed, 'answer': answer and {
          'architecture': answer, 'reward': curve[-1][2],
      },
      'reported': curve[-1][3] if curve else None, 'trials': trials,
      'networks': trials - 1, 'failed': 0, 'reused': 0, 'rejected': 1,
      'seconds': seconds, 'stop_reason': 'budget spent',
      'curve': [list(row) for row in curve],
  } | changes


def records() -> list[dict[str, Any]]:
  """Two equal runs of layernas; four of random, one without an answer."""
  same = ((1, 10.0, 1.0, 50.0), (3, 50.0, 3.0, 80.0))
  return [
      record('layernas', 0, '1-0', *same),
      record('layernas', 1, '1-0', *same),
      record('random', 0, '0-0', (1, 10.0, 1.0, 50.0)),
      record('random', 1, '0-1', (2, 20.0, 2.0, 60.0)),
      record(
          'random', 2, '1-0', (1, 10.0, 1.0, 50.0), (5, 120.0, 3.0, 80.0)
      ),
      record('random', 3, None, stop_reason='all layers decided'),
  ]


def summary(compared: str = 'layernas', **changes: Any) -> dict[str, Any]:
  """Summary of the study."""
  study = config(compared, **changes)
  return summarise(study, {'toy': BENCHMARK}, records())
