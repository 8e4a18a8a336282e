"""docs/search-quality.md shows the stored runs, which come again."""

import collections
import csv
import gzip
import io

import numpy as np
import pytest
from scipy import stats

from configs import search_quality
from layernas.study.run import Key
from layernas.study.run import play
from layernas.study.setup import make_benchmark
from layernas.study.setup import make_strategy
from tests import tiny

_FILE = tiny.ROOT / 'docs' / 'results' / 'search_quality' / 'runs.csv.gz'
_CONFIG = search_quality.get_config()
_SHOWN = ('ours', 'ours_no_repeats', 'layernas', 'model_random', 'tpe')
_OTHERS = (
    'random', 'random_repeats', 'evolution', 'evolution_repeats',
    'local_search', 'local_search_repeats',
)
# Shown as regret.
_REGRET = ('chain', 'nats_sss', 'nats_tss_ms')


def _runs() -> list[dict[str, str]]:
  text = gzip.decompress(_FILE.read_bytes()).decode()
  return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope='module', name='rewards')
def _rewards() -> dict[str, dict[str, np.ndarray]]:
  """Reported figures by benchmark and method."""
  lists = collections.defaultdict(lambda: collections.defaultdict(list))
  for run in _runs():
    if run['reported']:
      lists[run['benchmark']][run['method']].append(float(run['reported']))
  return {
      benchmark: {name: np.array(values) for name, values in methods.items()}
      for benchmark, methods in lists.items()
  }


@pytest.mark.parametrize('benchmark', list(_CONFIG.benchmarks))
def test_the_table_is_that_of_the_runs(
    benchmark: str, rewards: dict[str, dict[str, np.ndarray]]
) -> None:
  methods = rewards[benchmark]
  best = max(
      (name for name in _OTHERS if name in methods),
      key=lambda name: methods[name].mean(),
  )
  optimum = make_benchmark(benchmark, _CONFIG.benchmarks[benchmark]).optimum

  def cell(name: str) -> str:
    if name not in methods:
      return '-'
    mean = methods[name].mean()
    if benchmark.startswith(_REGRET):
      mean = round(optimum - mean, 9) + 0.0  # No minus before a zero.
    return f'{mean:.3f} ({len(methods[name])})'

  p = stats.ttest_ind(methods['ours'], methods[best], equal_var=False).pvalue
  cells = [benchmark, *map(cell, _SHOWN), f'{best} {cell(best)}', f'{p:.1g}']
  text = (tiny.ROOT / 'docs' / 'search-quality.md').read_text()
  assert f'| {" | ".join(cells)} |\n' in text


@pytest.mark.parametrize(
    'method', ['ours', 'model_random', 'evolution_repeats']
)
@pytest.mark.parametrize('benchmark', [
    'nats_tss_c100', 'nats_sss_c10_100', 'nats_tss_ms_pixel3',
    'nas_bench_macro_100', 'channel_bench_macro_100',
])
def test_a_stored_run_comes_again(benchmark: str, method: str) -> None:
  made = make_benchmark(benchmark, _CONFIG.benchmarks[benchmark])
  stored = next(
      run for run in _runs()
      if (run['benchmark'], run['method']) == (benchmark, method)
      and run['seed'] != '0'
  )
  run = play(
      Key(benchmark, 'every_query', method, int(stored['seed'])), made,
      make_strategy(_CONFIG.methods[method]),
  )
  assert run['answer']['architecture'] == stored['architecture']
  assert run['reported'] == float(stored['reported'])
