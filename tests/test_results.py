"""README and docs show the stored results, which the present code gives."""

import functools
import itertools
import json
import re
import statistics

import pytest

from configs.study import ablation
from configs.study import audit
from configs.study import macro
from configs.study import nats
from configs.study import synthetic
from layernas.storage.resuming import STUDY
from layernas.storage.resuming import completed
from layernas.storage.resuming import differences
from layernas.study.report import table_text
from layernas.study.report_tables import number
from layernas.study.report_tables import overview
from layernas.study.run import Key
from layernas.study.run import play
from layernas.study.run_audit import audit_markdown
from layernas.study.setup import make_benchmark
from layernas.study.setup import make_strategy
from tests import tiny

RESULTS = tiny.ROOT / 'docs' / 'results'
ABLATIONS = ('buckets', 'keep', 'start', 'order', 'spacing', 'schedule')
# Folder of the stored study -> its config and the argument.
STUDIES = {
    'nats_tss': (nats, 'topology'),
    'nats_tss_paper': (nats, 'paper'),
    'nats_tss_latency': (nats, 'latency'),
    'nats_sss': (nats, 'size'),
    'macro_benchmarks': (macro, ''),
    'synthetic': (synthetic, ''),
    **{f'ablation_{varied}': (ablation, varied) for varied in ABLATIONS},
}
BOTH = ('every_query', 'each_network_once')
SHOWN = [
    *itertools.product(
        ['docs/benchmarks.md'], ['nats_tss', 'macro_benchmarks'], BOTH
    ),
    *itertools.product(
        ['docs/benchmarks.md'],
        ['nats_tss_paper', 'nats_tss_latency', 'nats_sss', 'synthetic'],
        ['every_query'],
    ),
    *itertools.product(
        ['docs/ablations.md'], [f'ablation_{name}' for name in ABLATIONS],
        ['every_query'],
    ),
]


def long(*values):
  return pytest.param(*values, marks=pytest.mark.long)


@functools.cache
def summary_of(study):
  return json.loads((RESULTS / study / 'summary.json').read_text())


@functools.cache
def text_of(document):
  return (tiny.ROOT / document).read_text()


def config_of(study):
  module, argument = STUDIES[study]
  return module.get_config(argument)


def changed_since(stored, config):
  """Fields that decide results and differ between two configs of a study."""
  return [
      name for name, _, _ in differences(stored, config.to_dict(), STUDY)
  ]


def methods_of(study, benchmark, accounting='every_query'):
  [section] = [
      section for section in summary_of(study)['sections']
      if (section['benchmark'], section['accounting']) == (
          benchmark, accounting
      )
  ]
  return section['methods']


@pytest.mark.parametrize(('document', 'study', 'accounting'), SHOWN)
def test_tables_are_those_of_the_summaries(document, study, accounting):
  table = table_text(overview(summary_of(study), accounting))
  assert table in text_of(document)


@pytest.mark.parametrize(('document', 'study'), [
    ('docs/benchmarks.md', study) for study in (
        'nats_tss', 'nats_tss_latency', 'macro_benchmarks', 'nats_sss',
        'synthetic',
    )
])
def test_optima_are_those_of_the_summaries(document, study):
  benchmarks = summary_of(study)['benchmarks']
  optima = ' / '.join(
      number(benchmarks[name]['optimum'], benchmarks[name]['decimals'])
      for name in sorted(benchmarks)
  )
  assert optima in ' '.join(text_of(document).split())


@pytest.mark.parametrize('study', list(STUDIES))
def test_stored_results_are_those_of_the_present_config(study):
  config = config_of(study)
  stored = json.loads((RESULTS / study / 'config.json').read_text())
  assert not changed_since(stored, config)
  for benchmark in config.benchmarks:
    for accounting in BOTH:
      for method, row in methods_of(study, benchmark, accounting).items():
        seeds = config.methods[method].seeds or config.seeds
        assert row['runs'] == seeds


@pytest.mark.parametrize('accounting', BOTH)
@pytest.mark.parametrize(('study', 'benchmark', 'method'), [
    ('nats_tss', 'nats_tss_c10', 'layernas'),
    ('nats_tss', 'nats_tss_c100', 'layernas'),
    ('nats_tss', 'nats_tss_in16', 'layernas'),
    long('nats_tss', 'nats_tss_c10', 'evolution'),
    long('nats_tss', 'nats_tss_in16', 'layernas_random_order'),
    long('nats_tss', 'nats_tss_c10', 'local_search'),
    long('macro_benchmarks', 'nas_bench_macro', 'layernas_recentred'),
])
def test_stored_figures_come_again(study, benchmark, method, accounting):
  """All seeds of some methods, to the last stored digit."""
  config = config_of(study)
  made = make_benchmark(benchmark, config.benchmarks[benchmark])
  stored = methods_of(study, benchmark, accounting)[method]
  seeds = 1 if stored['distinct_runs'] == 1 else config.seeds
  runs = [
      play(Key(benchmark, accounting, method, seed), made,
           make_strategy(config.methods[method]))
      for seed in range(seeds)
  ]
  reported = [run['reported'] for run in runs if run['answer']]
  assert stored['mean'] == float(f'{statistics.fmean(reported):.6g}')
  assert stored['sd'] == pytest.approx(statistics.pstdev(reported), rel=1e-5)
  trials = statistics.fmean(run['trials'] for run in runs)
  assert stored['trials'] == float(f'{trials:.6g}')


def test_baselines_land_on_the_figures_of_others():
  """Random search and evolution, 500 runs, within 0.1 of the reference."""
  reference = {
      'random': (93.86, 71.56, 45.23), 'evolution': (94.06, 72.32, 45.78)
  }
  for method, figures in reference.items():
    for dataset, figure in zip(('c10', 'c100', 'in16'), figures, strict=True):
      row = methods_of('nats_tss', f'nats_tss_{dataset}')[method]
      assert row['runs'] == 500
      assert abs(row['mean'] - figure) < 0.1


def test_readme_figures_of_the_networks_are_the_stored_ones():
  folder = RESULTS / 'cifar10_small'
  final = json.loads((folder / 'final.json').read_text())
  for row in final['networks']:
    assert row['mean'] == statistics.fmean(row['accuracies'])
    cells = [
        f'{row["madds"]:,}', f'{row["params"]:,}', f'{100 * row["mean"]:.2f}',
        *(f'{100 * accuracy:.2f}' for accuracy in row['accuracies']),
    ]
    pattern = r'.*'.join(map(re.escape, cells))
    assert re.search(pattern, text_of('README.md')), cells
  result = json.loads((folder / 'result.json').read_text())
  assert f'`{result["winner"]["architecture"]}`' in text_of('README.md')


@pytest.mark.parametrize('name', ['resnet', 'vit', 'mixer'])
def test_figures_of_the_spaces_of_flax_modules_are_the_stored_ones(name):
  folder = RESULTS / 'own_networks' / name
  final, result = (
      json.loads((folder / f'{file}.json').read_text())
      for file in ('final', 'result')
  )
  assert result['config']['space'] == f'examples.{name}_space:space'
  assert sum(result['trials'].values()) == 64
  found, reference = final['networks']
  assert found['madds'] <= 4e6
  for row in (found, reference):
    accuracies = [100 * accuracy for accuracy in row['accuracies']]
    assert (
        f'| {row["madds"]:,} | {row["params"]:,} |'
        f' {statistics.fmean(accuracies):.2f} |'
        f' {", ".join(f"{one:.2f}" for one in accuracies)} |'
    ) in text_of('docs/own_networks.md')


def _stored(path):
  return json.loads((RESULTS / path / 'summary.json').read_text())


def test_the_results_of_the_readme_are_the_stored_ones():
  embedded = _stored('embedded_search')
  ours = embedded['methods']['layernas']
  rows = [
      f'{ours["accuracy"]:.2f} | {embedded["reference"]:.2f}'
      f' (p = {ours["p"]:.2g})',
  ]
  others = [
      f'{embedded["methods"][name]["accuracy"]:.2f}, {name}'
      for name in ('evolution', 'random search')
  ]
  rows.append(
      f'{ours["accuracy"]:.2f} | {"; ".join(others)}'
      ' ([figures](docs/embedded_search.md))'
  )
  for benchmark, name, spoken in (
      ('middle_half_100', 'tpe_repeats', "Optuna's TPE"),
      ('middle_half_300', 'nsga2_repeats', 'NSGA-II'),
  ):
    [section] = [
        one for one in _stored('accel_nasbench_search')['sections']
        if one['benchmark'] == benchmark
    ]
    means = {
        method: row['mean'] for method, row in section['methods'].items()
        if not method.startswith(('ours', 'model_random'))
    }
    assert name == max(means, key=means.get)
    rows.append(
        f'{section["methods"]["ours"]["mean"]:.2f} | {means[name]:.2f},'
        f' {spoken} (p = {section["tests"][name]["p_holm"]:.1g})'
    )
  topology = {
      name: row['mean']
      for name, row in methods_of('nats_tss', 'nats_tss_c100').items()
      if not name.startswith('layernas_')
  }
  paper = topology.pop('layernas')
  best = max(topology, key=topology.get)
  assert best == 'tpe'
  rows.append(f"{paper:.2f} | {topology[best]:.2f}, Optuna's TPE")
  for row in rows:
    assert f'| {row} |' in text_of('README.md'), row


def test_h_is_the_best_on_the_signal_of_cifar10():
  """Of equals the one that spends least; the other data sets are not asked."""
  rows = methods_of('ablation_buckets', 'nats_tss_c10')
  best = max(rows, key=lambda name: (
      rows[name]['signal'], -rows[name]['seconds']
  ))
  buckets = nats.TOPOLOGY_BUCKETS
  assert best == f'H{buckets:03}'
  assert config_of('nats_tss').methods.layernas.settings.buckets == buckets
  assert f'H = {buckets}' in text_of('README.md')


@pytest.mark.parametrize('study', ['nats_tss', 'nats_tss_paper'])
def test_published_figures_are_those_of_the_configs(study):
  config = config_of(study)
  methods = {}
  for dataset in ('c10', 'c100', 'in16'):
    published = config.benchmarks[f'nats_tss_{dataset}'].published
    for method, row in published.items():
      methods.setdefault(method, []).append(f'{row[0]:.2f} ± {row[1]:.2f}')
  for method, cells in methods.items():
    assert f'| {method} | {" | ".join(cells)} |' in text_of(
        'docs/benchmarks.md'
    )


def test_audit_in_the_docs_is_the_stored_one():
  stored = json.loads((RESULTS / 'audit' / 'audit.json').read_text())
  text = audit_markdown(stored)
  assert (RESULTS / 'audit' / 'audit.md').read_text() == text
  table = text[text.index('| benchmark'):].partition('\n\n')[0]
  assert table in text_of('docs/audit.md')
  config = json.loads(json.dumps(audit.get_config().to_dict()))
  assert completed(stored['config'], config) == config


def test_overhead_in_the_docs_is_the_stored_one():
  stored = json.loads(
      (RESULTS / 'search_overhead' / 'search_overhead.json').read_text()
  )
  for case, row in stored['cases'].items():
    line = (
        f'| {case} | {row["microseconds_per_trial"]:.1f} |'
        f' {row["trials"]:,.0f} | {row["seconds"]:.1f} |'
        f' {row["peak_megabytes"]:.0f} |'
    )
    assert line in text_of('docs/benchmarks.md')
  assert stored['cases']['topology/sweep']['microseconds_per_trial'] <= 50
  large = stored['cases']['large/sweep']
  assert large['seconds'] <= 60
  assert large['peak_megabytes'] <= 500
  for name, seconds in stored['load_seconds'].items():
    assert f'| {name} | {seconds:.3f} |' in text_of('docs/benchmarks.md')
    assert seconds < 0.3
