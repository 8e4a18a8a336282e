"""Slow model-based methods of other packages beside ours, on few rows each.

The argument names the other method and where it runs; `smoke` may follow it, as
in smac,smoke.

smac: SMAC3's random forest on the rows middle_half of accel_nasbench.py, after
  30, 60 and 100 queries; a suggestion takes some tenths of a second. Takes an
  hour of one CPU core. Expect 62 to 66.
gp: Optuna's GPSampler on middle_half_30; a suggestion takes four seconds in its
  28 decisions. Takes a quarter of an hour of one CPU core. Expect 62 to 66.
gp_tables: GPSampler on rows of search_quality.py with at most 200 queries.
  Takes half an hour of one CPU core. Expect what docs/search-quality.md shows.

gp and gp_tables need configs/study/requirements.txt.

  ./launch.sh benchmark --config=configs/study/opponents.py:smac
  ./launch.sh benchmark --config=configs/study/opponents.py:gp
  ./launch.sh benchmark --config=configs/study/opponents.py:gp_tables
"""

from ml_collections import ConfigDict

from configs.default import split_argument
from configs.study import accel_nasbench
from configs.study import default
from configs.study import search_quality

# Seeds of both methods in the space of MnasNet, by method.
_SEEDS = {'smac': 24, 'gp': 8}

_QUERIES = {'smac': (30, 60, 100), 'gp': (30,)}

# Rows of search_quality.py. The topology space's budgets are in seconds, which
# 100 to 200 queries take.
_TABLES = (
    'nats_tss_c10', 'nats_tss_c100', 'nats_tss_in16', 'nas_bench_macro_50',
    'nas_bench_macro_100', 'channel_bench_macro_100', 'nats_sss_c10_100',
)

# Of GPSampler on _TABLES; ours has as many as in search_quality.py.
_TABLE_SEEDS = 8

_VARIANTS = ('smac', 'gp', 'gp_tables')


def get_config(argument: str = '') -> ConfigDict:
  """The config of one comparison.

  Args:
    argument: smac, gp or gp_tables; `,smoke` behind it takes a few seeds of 20
      queries.

  Returns:
    A locked config.

  Raises:
    ValueError: no method, or a word that is not allowed.
  """
  variant, smoke = split_argument(argument, _VARIANTS, ('smoke',))
  name, _, tables = variant.partition('_')
  config = search_quality.get_config('opponents').unlock()
  if tables:
    config.title = f'Search quality, {name}'
    seeds = _TABLE_SEEDS
    config.benchmarks = ConfigDict(
        {row: config.benchmarks[row] for row in _TABLES}
    )
  else:
    config.title = f'Accel-NASBench, {name}'
    config.seeds = seeds = _SEEDS[name]
    config.benchmarks = ConfigDict({
        f'middle_half_{trials}': accel_nasbench.section_of(
            'middle', accel_nasbench.NOISES['half'], trials
        )
        for trials in _QUERIES[name]
    })
  if smoke:
    for section in config.benchmarks.values():
      section.budget.trials = 20
  config.methods = ConfigDict(
      {'ours': config.methods.ours, name: config.methods[name]}
  )
  config.methods[name].seeds = seeds
  return default.finish(config, smoke)
