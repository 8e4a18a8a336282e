"""docs/search-quality.md shows the stored studies, which come again."""

import json

import pytest
from ml_collections import ConfigDict

from configs.study import accel_nasbench
from configs.study import search_quality
from layernas.study.run import Key
from layernas.study.run import play
from layernas.study.setup import make_benchmark
from layernas.study.setup import make_strategy
from tests import tiny
from tests.test_results import changed_since
from tests.test_results import long

_RESULTS = tiny.ROOT / 'docs' / 'results' / 'search_quality'
_CONFIG = search_quality.get_config()
_SUMMARY = json.loads((_RESULTS / 'summary.json').read_text())
_SECTIONS = {section['benchmark']: section for section in _SUMMARY['sections']}
_PAGE = (tiny.ROOT / 'docs' / 'search-quality.md').read_text()
_SHOWN = ('ours', 'ours_no_repeats', 'layernas', 'model_random', 'tpe', 'nsga2')
_OTHERS = (
    'random', 'random_repeats', 'evolution', 'evolution_repeats',
    'local_search', 'local_search_repeats',
)
# Shown as regret.
_REGRET = ('chain', 'nats_sss', 'nats_tss_ms')


_IMAGENET = tiny.ROOT / 'docs' / 'results' / 'accel_nasbench_search'
_FAMILIES = {
    'random': ('random', 'random_repeats'),
    'evolution': (
        'evolution', 'evolution_repeats', 'evolution_default',
        'evolution_default_repeats',
    ),
    'local search': (
        'local_search', 'local_search_repeats', 'local_search_default',
        'local_search_default_repeats',
    ),
    'TPE': ('tpe', 'tpe_repeats'),
    'NSGA-II': ('nsga2', 'nsga2_repeats'),
}


def _imagenet_section(benchmark: str) -> dict[str, object]:
  summary = json.loads((_IMAGENET / 'summary.json').read_text())
  return next(
      one for one in summary['sections'] if one['benchmark'] == benchmark
  )


def _imagenet_row(benchmark: str) -> str:
  """The row of the table of the MnasNet space: each kind's best variant."""
  section = _imagenet_section(benchmark)
  methods = section['methods']
  best = {
      name: max(variants, key=lambda one: methods[one]['mean'])
      for name, variants in _FAMILIES.items()
  }
  first = max(best.values(), key=lambda one: methods[one]['mean'])
  cells = [f'{methods[name]["mean"]:.2f}' for name in (
      'ours', 'default', 'layernas', *best.values()
  )]
  p = section['tests'][first]['p_holm']
  return f'| {" | ".join([benchmark, *cells, first, f"{p:.1g}"])} |'


@pytest.mark.parametrize(
    'benchmark', list(accel_nasbench.get_config().benchmarks)
)
def test_the_mnasnet_table_is_that_of_the_summary(benchmark: str) -> None:
  assert _imagenet_row(benchmark) + '\n' in _PAGE


def test_the_mnasnet_summary_is_that_of_the_present_config() -> None:
  stored = json.loads((_IMAGENET / 'config.json').read_text())
  assert changed_since(stored, accel_nasbench.get_config()) == []


@pytest.mark.parametrize(('benchmark', 'method'), [
    ('mnasnet_a1_full_30', 'default'),
    long('middle_full_30', 'ours'),
    long('middle_seed_100', 'evolution'),
])
def test_stored_means_of_the_mnasnet_space_come_again(
    benchmark: str, method: str
) -> None:
  stored = _imagenet_section(benchmark)['methods'][method]
  _check_mean(accel_nasbench.get_config(), benchmark, method, stored)


def _check_mean(
    config: ConfigDict, benchmark: str, method: str, stored: dict[str, object]
) -> None:
  """Plays all seeds, or one where all end at equally good networks."""
  seeds = range(stored['runs'] if stored['sd'] else 1)
  made = make_benchmark(benchmark, config.benchmarks[benchmark])
  runs = [
      play(Key(benchmark, 'every_query', method, seed), made,
           make_strategy(config.methods[method]))
      for seed in seeds
  ]
  mean = sum(run['reported'] for run in runs) / len(runs)
  assert mean == pytest.approx(stored['mean'], rel=1e-5)


def _row(benchmark: str) -> str:
  """The row of the page's table, as the summary has it."""
  section = _SECTIONS[benchmark]
  methods = section['methods']
  best = max(_OTHERS, key=lambda name: methods[name]['mean'])

  def cell(name: str) -> str:
    if methods[name]['mean'] is None:
      return '-'
    figure = 'regret' if benchmark.startswith(_REGRET) else 'mean'
    return f'{methods[name][figure]:.3f} ({methods[name]["runs"]})'

  p = section['tests'][best]['p_holm']
  return ' | '.join([
      f'| {benchmark}', *map(cell, _SHOWN), f'{best} {cell(best)}', f'{p:.1g} |'
  ])


@pytest.mark.parametrize('benchmark', list(_CONFIG.benchmarks))
def test_the_table_is_that_of_the_summary(benchmark: str) -> None:
  assert _row(benchmark) + '\n' in _PAGE


def test_the_summary_is_that_of_the_present_config() -> None:
  stored = json.loads((_RESULTS / 'config.json').read_text())
  # It is older than the design that the page describes, and says so.
  changed = [
      name for name in changed_since(stored, _CONFIG)
      if name.split('.')[1] in stored['methods'] or 'methods' not in name
  ]
  assert changed == [
      f'methods.{name}.settings.guided.design'
      for name in ('ours', 'ours_no_repeats')
  ]
  assert list(_SECTIONS) == list(_CONFIG.benchmarks)
  for benchmark, section in _SECTIONS.items():
    for name, method in section['methods'].items():
      seeds = _CONFIG.methods[name].seeds or stored['seeds']
      most = _CONFIG.benchmarks[benchmark].seeds or seeds
      assert method['runs'] == min(seeds, most)


@pytest.mark.parametrize(('benchmark', 'method'), [
    # Not of `ours`, which was changed since.
    ('nats_tss_in16', 'layernas'),
    long('nas_bench_macro_100', 'evolution_repeats'),
    long('nats_sss_c10_100', 'random'),
])
def test_stored_means_come_again(benchmark: str, method: str) -> None:
  """All seeds, or one where all end at equally good networks."""
  stored = _SECTIONS[benchmark]['methods'][method]
  _check_mean(_CONFIG, benchmark, method, stored)
