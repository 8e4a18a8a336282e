"""The worked example of docs/decision_trace.md: one small run, every decision.

LayerNAS with three buckets on NAS-Bench-Macro (8 blocks with 3 options each,
CIFAR-10), MAdds at most half of the largest network's. Takes seconds. Expect
the files that lie in docs/results/trace_example.

  ./launch.sh trace --config=configs/study/trace_example.py \
    --workdir=workdir/trace
"""

from ml_collections import ConfigDict

from configs.study import default


def get_config(argument: str = '') -> ConfigDict:
  """The config of the example.

  Args:
    argument: '' or 'smoke'.

  Returns:
    A locked config.
  """
  config = default.get_config()
  config.title = 'Worked example of a decision trace'
  config.seeds = 1
  config.benchmarks.macro = default.benchmark(
      table__name='nas_bench_macro', rewards=('acc1', 'acc2', 'acc3'),
      report='held_out', cost='madds',
      # Half of the largest network's 105,660,928.
      target__high=52_830_464.0, budget__trials=200,
      signal='accuracy of one training, %',
      metric='accuracy of a training that no query gives, %',
      protocol='CIFAR-10, at most half of the largest MAdds',
  )
  config.methods.layernas = default.method('layernas', buckets=3)
  return default.finish(config, argument)
