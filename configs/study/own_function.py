"""A benchmark of your own: a Python function of the architecture.

table.name names the function that makes the benchmark, table.settings are its
arguments. As it stands it takes examples/own_benchmark.py, whose formula is
made up. Takes a minute on two CPU cores. Expect means between 77 and 81.

  ./launch.sh benchmark --config=configs/study/own_function.py
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
  config.title = 'A function of your own'
  config.seeds = 50
  config.benchmarks.own = default.benchmark(
      table__name='examples.own_benchmark:tapering_widths',
      table__settings=ConfigDict({'layers': 12}),
      # What methods see, with an error, and what their answers are judged by.
      rewards=('accuracy',), noise=0.5, report='accuracy',
      # What is limited.
      cost='madds', target__high=120_000.0,
      budget__trials=100,
      signal='made-up accuracy, %, with an error',
      metric='the same without error',
      protocol='twelve layers, at most 120,000 MAdds',
  )
  config.methods = default.methods(buckets=5, optuna_seeds=10)
  config.compared = 'layernas'
  return default.finish(config, argument)
