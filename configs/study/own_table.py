"""A benchmark of your own: a CSV with a row for every architecture.

Set the fields below, or give them as flags; no code is needed. As it stands it
reads examples/own_table.csv, whose figures are made up. Takes seconds. Expect
means between 78 and the best network under the limit, 81.6.

  ./launch.sh benchmark --config=configs/study/own_table.py \
    --config.benchmarks.own.table.file=examples/own_table.csv \
    --workdir=workdir/own_table
"""

from ml_collections import ConfigDict

from configs.study import default


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: '' or 'smoke', which shrinks it to four seeds.

  Returns:
    A locked config.
  """
  config = default.get_config()
  config.title = 'A table of your own'
  config.seeds = 50
  config.benchmarks.own = default.benchmark(
      table__file='examples/own_table.csv',
      # The column of architectures, such as 3x3:16:relu, and what finds their
      # options in it.
      table__architecture='network', table__pattern='[^:]+',
      table__layers=('kernel', 'filters', 'activation'),
      # What methods see, and what their answers are judged by.
      rewards=('validation',), report='test',
      # What is limited, and what a query is charged.
      cost='madds', target__high=60.0,
      seconds='seconds', budget__seconds=60.0,
      signal='validation accuracy, %', metric='test accuracy, %',
      protocol='made-up figures',
  )
  config.methods = default.methods(buckets=5, optuna_seeds=10)
  config.compared = 'layernas'
  return default.finish(config, argument)
