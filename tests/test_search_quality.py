"""docs/search-quality.md shows the stored studies, which come again."""

import json

import pytest

from configs.study import accel_nasbench
from configs.study import opponents
from configs.study import search_quality
from layernas.study.run import Key
from layernas.study.run import play
from layernas.study.setup import make_benchmark
from layernas.study.setup import make_strategy
from tests import tiny
from tests.test_results import changed_since
from tests.test_results import long

_STUDIES = {
    'search_quality': search_quality, 'accel_nasbench_search': accel_nasbench,
}
_OPPONENTS = {'smac': 'SMAC3', 'gp': 'GPSampler'}
_CONFIGS = {name: study.get_config() for name, study in _STUDIES.items()} | {
    f'opponents_{name}': opponents.get_config(name)
    for name in (*_OPPONENTS, 'gp_tables')
}
_RESULTS = tiny.ROOT / 'docs' / 'results'
_PAGE = (tiny.ROOT / 'docs' / 'search-quality.md').read_text()
_OURS = ('ours', 'ours_no_repeats', 'model_random', 'layernas_recentred')
# Shown as regret.
_REGRET = ('chain', 'nats_sss', 'nats_tss_ms')
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
_BENCHMARKS = [
    (study, benchmark) for study in _STUDIES
    for benchmark in _CONFIGS[study].benchmarks
]


def _section(study: str, benchmark: str) -> dict[str, object]:
  summary = json.loads((_RESULTS / study / 'summary.json').read_text())
  return next(
      one for one in summary['sections'] if one['benchmark'] == benchmark
  )


def _row(study: str, benchmark: str) -> str:
  """A row of the page's tables: of each kind of method the best variant."""
  section = _section(study, benchmark)
  methods = {
      name: method for name, method in section['methods'].items()
      if method['mean'] is not None
  }
  best = [
      max(found, key=lambda one: methods[one]['mean'])
      for variants in _FAMILIES.values()
      if (found := [name for name in variants if name in methods])
  ]
  others = [name for name in (*best, 'default', 'layernas') if name in methods]
  first = max(others, key=lambda one: methods[one]['mean'])
  digits, figure = (2, 'mean') if study == 'accel_nasbench_search' else (
      3, 'regret' if benchmark.startswith(_REGRET) else 'mean'
  )
  ours = [name for name in _OURS[:-1] if name in section['methods']]
  cells = [
      f'{methods[name][figure]:.{digits}f}' if name in methods else '-'
      for name in (*ours, 'default', 'layernas', *best)
  ]
  p = section['tests'][first]['p_holm']
  tested = '-' if p is None else f'{p:.1g}'
  return f'| {" | ".join([benchmark, *cells, first, tested])} |'


@pytest.mark.parametrize(('study', 'benchmark'), _BENCHMARKS)
def test_the_tables_are_those_of_the_summaries(
    study: str, benchmark: str
) -> None:
  assert _row(study, benchmark) + '\n' in _PAGE


@pytest.mark.parametrize(('name', 'benchmark'), [
    (name, benchmark) for name in _OPPONENTS
    for benchmark in _CONFIGS[f'opponents_{name}'].benchmarks
])
def test_the_rows_of_slow_opponents_are_those_of_the_summaries(
    name: str, benchmark: str
) -> None:
  section = _section(f'opponents_{name}', benchmark)
  ours, other = section['methods']['ours'], section['methods'][name]
  trials = benchmark.rpartition('_')[2]
  assert (
      f'| {_OPPONENTS[name]} | {trials} | {ours["runs"]} | {ours["mean"]:.2f} |'
      f' {other["mean"]:.2f} | {section["tests"][name]["p_holm"]:.1g} |\n'
  ) in _PAGE


@pytest.mark.parametrize(
    'benchmark', list(_CONFIGS['opponents_gp_tables'].benchmarks)
)
def test_the_rows_of_gp_on_tables_are_those_of_the_summary(
    benchmark: str
) -> None:
  section = _section('opponents_gp_tables', benchmark)
  figure = 'regret' if benchmark.startswith(_REGRET) else 'mean'
  ours, other = (
      f'{section["methods"][name][figure]:.3f}' for name in ('ours', 'gp')
  )
  p = section['tests']['gp']['p_holm']
  assert f'| {benchmark} | {ours} | {other} | {p:.1g} |\n' in _PAGE
  # Ours is that of the large table.
  large = _section('search_quality', benchmark)['methods']['ours']
  assert section['methods']['ours']['mean'] == large['mean']


@pytest.mark.parametrize('study', list(_CONFIGS))
def test_the_summary_is_that_of_the_present_config(study: str) -> None:
  stored = json.loads((_RESULTS / study / 'config.json').read_text())
  config = _CONFIGS[study]
  assert changed_since(stored, config) == []
  for benchmark, section in config.benchmarks.items():
    for name, method in _section(study, benchmark)['methods'].items():
      seeds = config.methods[name].seeds or config.seeds
      assert method['runs'] == min(seeds, section.seeds or seeds)


@pytest.mark.parametrize(('study', 'benchmark', 'method'), [
    ('accel_nasbench_search', 'mnasnet_a1_full_30', 'default'),
    ('search_quality', 'nats_tss_in16', 'layernas'),
    long('accel_nasbench_search', 'middle_full_30', 'ours'),
    long('accel_nasbench_search', 'middle_seed_100', 'evolution'),
    long('opponents_gp', 'middle_half_30', 'ours'),
    long('search_quality', 'nas_bench_macro_50', 'ours'),
    long('search_quality', 'nas_bench_macro_100', 'evolution_repeats'),
    long('search_quality', 'nats_sss_c10_100', 'random'),
])
def test_stored_means_come_again(
    study: str, benchmark: str, method: str
) -> None:
  """Plays all seeds, or one where all end at equally good networks."""
  stored = _section(study, benchmark)['methods'][method]
  config = _CONFIGS[study]
  made = make_benchmark(benchmark, config.benchmarks[benchmark])
  runs = [
      play(Key(benchmark, 'every_query', method, seed), made,
           make_strategy(config.methods[method]))
      for seed in range(stored['runs'] if stored['sd'] else 1)
  ]
  mean = sum(run['reported'] for run in runs) / len(runs)
  assert mean == pytest.approx(stored['mean'], rel=1e-5)
