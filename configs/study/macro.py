"""LayerNAS and its baselines on NAS-Bench-Macro and Channel-Bench-Macro.

CIFAR-10 under half of the largest network's MAdds, 300 queries. Each network
was trained three times: the run's seed picks one training as the reward of a
first query, a second one as that of a repeat; the third is held out and is what
the answer is judged by. Takes about six minutes on two CPU cores, most of them
Optuna's. Expect about 92.2 on NAS-Bench-Macro and 91.3 on Channel-Bench-Macro
(docs/results/macro_benchmarks).

  ./launch.sh benchmark --config=configs/study/macro.py
"""

from ml_collections import ConfigDict

from configs.study import default

# Half of the largest MAdds of each table.
_LIMITS = {
    'nas_bench_macro': ('NAS-Bench-Macro', 52_830_464.0),
    'channel_bench_macro': ('Channel-Bench-Macro, MobileNet', 105_640_960.0),
}

BUCKETS = 5
"""H: with few distinct costs in a layer, 100 buckets spend the budget."""


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: '' or 'smoke', which shrinks it to four seeds.

  Returns:
    A locked config.
  """
  config = default.get_config()
  config.title = 'NAS-Bench-Macro and Channel-Bench-Macro'
  for name in _LIMITS:
    config.benchmarks[name] = section_of(name)
  config.methods = default.methods(BUCKETS, optuna_seeds=50)
  config.compared = 'layernas_recentred'
  return default.finish(config, argument)


def section_of(table: str) -> ConfigDict:
  """One of the two tables.

  Args:
    table: nas_bench_macro or channel_bench_macro.

  Returns:
    The section, unlocked.
  """
  name, limit = _LIMITS[table]
  return default.benchmark(
      table__name=table, rewards=('acc1', 'acc2', 'acc3'), report='held_out',
      cost='madds', target__high=limit, budget__trials=300,
      signal='test accuracy of one of three trainings, %',
      metric='test accuracy of the training that no query gives, %',
      protocol=f'{name}, CIFAR-10, at most half of the largest MAdds',
  )
