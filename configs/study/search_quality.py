"""How far the search gets: one setting on every table and budget.

`ours` is the schedule model_guided; docs/search-quality.md says on which tables
its settings were chosen. Beside it stand plain LayerNAS, the same reward model
without layer tables, and the baselines, with repeats of finalists (`_repeats`)
and without: also evolution and local search that start at the default network.
Takes about an hour of one CPU core. The argument `opponents` adds Optuna's
GPSampler, SMAC3 and Syne Tune's conformal quantile regression, which need
further packages and days. Expect what docs/search-quality.md shows.

  ./launch.sh benchmark --config=configs/study/search_quality.py
  .venv/bin/pip install -r configs/study/requirements.txt
  ./launch.sh benchmark --config=configs/study/search_quality.py:opponents
"""

from typing import Any

from ml_collections import ConfigDict

from configs.study import default
from configs.study import macro
from configs.study import nats

SHARE = 0.2
"""Of the budget, for repeats of finalists; of every method that has them."""

# Medians of five of the topology table's latency columns, in ms.
_LATENCIES = {
    'ms_raspi4': 25.6801, 'ms_pixel3': 10.6756, 'ms_fpga': 3.72496,
    'ms_eyeriss': 5.12018, 'ms_1080ti_1': 9.52532,
}


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: words joined by commas: `opponents` adds methods of packages that
      requirements.txt does not have, `smoke` shrinks all to four seeds.

  Returns:
    A locked config.
  """
  config = default.get_config()
  config.title = 'Search quality'
  config.seeds = 100
  config.accountings = ('every_query',)
  config.benchmarks = ConfigDict(_benchmarks())
  return default.finish(config, set_methods(config, argument))


def set_methods(config: ConfigDict, argument: str) -> str:
  """Sets what is compared with what.

  Args:
    config: of the study.
    argument: of the config, words joined by commas.

  Returns:
    The argument without `opponents`.

  Raises:
    ValueError: a word that is not allowed, or one twice.
  """
  words = argument.split(',') if argument else []
  if sorted(words) != sorted({'opponents', 'smoke'}.intersection(words)):
    raise ValueError(
        f"config argument {argument!r}: allowed are 'opponents' and 'smoke',"
        ' joined by a comma, or none'
    )
  config.methods = methods()
  if 'opponents' in words:
    words.remove('opponents')
    config.methods.update(opponents())
  config.compared = 'ours'
  config.curve_points = 40
  return ','.join(words)


def _benchmarks() -> dict[str, ConfigDict]:
  sections = {}
  for dataset in ('c10', 'c100', 'in16'):
    sections[f'nats_tss_{dataset}'] = nats.topology(dataset)
  for table, budgets in (
      ('nas_bench_macro', (50, 100, 300, 600)),
      ('channel_bench_macro', (100, 300, 600)),
  ):
    for trials in budgets:
      section = macro.section_of(table)
      section.budget.trials = trials
      sections[f'{table}_{trials}'] = section
  for trials in (200, 1000):
    sections[f'chain_{trials}'] = _chain(trials)
  # A run of `ours` takes seconds here.
  sections['chain_1000'].seeds = 40
  for trials in (100, 300):
    section = nats.size()
    section.budget.trials = trials
    sections[f'nats_sss_c10_{trials}'] = section
  for column, limit in _LATENCIES.items():
    sections[f'nats_tss_{column}'] = _latency(column, limit)
  return sections


def _chain(trials: int) -> ConfigDict:
  """Twenty layers with six options, 4e15 networks, half of the largest cost."""
  return default.benchmark(
      synthetic='chain', cost='units', target__high=180.0,
      budget__trials=trials, interaction=0.5, noise=1.0,
      signal='synthetic reward: terms of layers and of neighbours, and an error'
      ' of one standard deviation of a layer',
      metric='the same without error',
      protocol='20 layers with 6 options, at most half of the largest cost',
  )


def _latency(column: str, limit: float) -> ConfigDict:
  """Topology under a latency limit, answers judged by the signal itself."""
  section = nats.topology('c10')
  section.cost = column
  section.target.high = limit
  section.report = 'val12_c10'
  section.metric = 'the signal itself, %'
  section.protocol = f'CIFAR-10, {column} at most its median, {limit} ms'
  # Published figures are without a limit.
  section.published = ConfigDict()
  return section


def _model_guided(seeds: int = 0, **guided: Any) -> ConfigDict:
  """The schedule model_guided with the frozen setting, but for some fields."""
  return default.method(
      'layernas', seeds, schedule='model_guided', buckets=10, keep=2,
      guided=guided,
  )


def methods() -> ConfigDict:
  """All methods of the comparison, by name; unlocked."""
  method = default.method
  sections = {
      'ours': _model_guided(),
      'ours_no_repeats': _model_guided(seeds=40, trainings=1),
      'layernas': method('layernas', buckets=nats.TOPOLOGY_BUCKETS),
      'layernas_recentred': method(
          'layernas', schedule='recentred', buckets=nats.TOPOLOGY_BUCKETS,
          start='random', order='alternating',
      ),
      'model_random': method('model_random', seeds=40),
  }
  for kind in ('random', 'evolution', 'local_search'):
    sections[kind] = method(kind)
    sections[f'{kind}_repeats'] = method(kind, finalists=SHARE)
  sections['default'] = method('default')
  # Beside random starts: from a good default these are the stronger ones.
  for kind in ('evolution', 'local_search'):
    sections[f'{kind}_default'] = method(kind, seeds=100, start='default')
    sections[f'{kind}_default_repeats'] = method(
        kind, 100, SHARE, start='default'
    )
  # Optuna's samplers take most of the time of what they take part in.
  for sampler, seeds in (('tpe', 8), ('nsga2', 24)):
    for name, share in ((sampler, 0.0), (f'{sampler}_repeats', SHARE)):
      sections[name] = method(
          'optuna', seeds, share, sampler=sampler, suggestions=10_000
      )
  return ConfigDict(sections)


def opponents() -> ConfigDict:
  """Model-based methods of other packages, by name; unlocked.

  They need configs/study/requirements.txt. A suggestion takes seconds: few
  seeds, and no more than 300 suggestions or so.
  """
  sections = {}
  for name, kind, seeds, settings in (
      ('gp', 'optuna', 8, {'sampler': 'gp', 'suggestions': 400}),
      ('smac', 'smac', 24, {'suggestions': 600}),
      ('cqr', 'cqr', 8, {'suggestions': 300}),
  ):
    sections[name] = default.method(kind, seeds, **settings)
    sections[f'{name}_repeats'] = default.method(kind, seeds, SHARE, **settings)
  return ConfigDict(sections)
