r"""LayerNAS and its baselines on NAS-Bench-101.

Needs the table that tools/convert_nasbench101.py makes of the official file
(docs/nats_bench_files.md). We do not have that file and have not run this: what
to expect we cannot say. On a made-up table of its size a run takes up to 4 s of
a core, which comes to about 15 minutes on two of them.

The signal is the validation accuracy after 108 epochs of one of a cell's three
trainings, the clock the seconds of its trainings, and the answer's mean test
accuracy is reported. The budget is that of the notebook of the benchmark's
authors, 5,000,000 seconds. The cost, which groups and does not limit, is the
number of parameters.

  ./launch.sh convert_nasbench101 --source=nasbench_only108.tfrecord \
    --output=nasbench101.npz
  ./launch.sh benchmark --config=configs/study/nasbench101.py
"""

from ml_collections import ConfigDict

from configs.study import default
from layernas.study.tables.nasbench101 import NO_CELL

BUCKETS = 100
"""H of the layer tables, as in the paper; not tuned."""


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: '' or 'smoke', which shrinks it to four seeds and 100 queries.

  Returns:
    A locked config.
  """
  config = default.get_config()
  config.title = 'NAS-Bench-101'
  config.seeds = 100
  section = default.benchmark(
      table__name='nasbench101',
      table__settings={'file': 'nasbench101.npz'},
      rewards=('val108_1', 'val108_2', 'val108_3'), report='test108',
      # All cells, but no architecture that has none.
      cost='params', target__high=float(NO_CELL - 1),
      seconds='seconds108', budget__seconds=5e6,
      signal='validation accuracy of one of three trainings, %',
      metric='mean test accuracy of three trainings, %',
      protocol='CIFAR-10, no cost limit',
  )
  section.published.layernas = (
      94.26, 0.0,
      'LayerNAS, arXiv 2304.11517; neither its budget nor its space nor a'
      ' spread is known to us',
  )
  if argument == 'smoke':
    section.budget.trials = 100
  config.benchmarks.nasbench101 = section
  config.methods = default.methods(BUCKETS, optuna_seeds=0)
  config.compared = 'layernas'
  return default.finish(config, argument)
