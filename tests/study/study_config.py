"""A study that takes seconds: three methods on NAS-Bench-Macro."""

from ml_collections import ConfigDict

from configs.study import default


def get_config(argument: str = '') -> ConfigDict:
  """The config; its argument changes nothing."""
  del argument
  config = default.get_config()
  config.benchmarks.macro = default.benchmark(
      table__name='nas_bench_macro', rewards=('acc1', 'acc2', 'acc3'),
      report='held_out', cost='madds', target__high=5e7, budget__trials=100,
  )
  for kind in ('layernas', 'random', 'local_search'):
    config.methods[kind] = default.method(kind)
  config.curve_points = 10
  return config.lock()
