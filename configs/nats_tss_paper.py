"""NATS-Bench topology with the budget of the LayerNAS paper: 100,000 seconds.

That is five times the benchmark's own budget on CIFAR-10, so nothing here may
stand beside the rows of configs/nats_tss.py without saying so. H = 100 as in
the paper; its 5 runs are 500 here. Takes about a minute on two CPU cores.
Expect 94.4 / 73.1 / 46.3 for LayerNAS (docs/results/nats_tss_paper).

  ./launch.sh benchmark --config=configs/nats_tss_paper.py \
    --workdir=workdir/nats_tss_paper
"""

from ml_collections import ConfigDict

from configs import benchmark_default
from configs import nats_tss

_PUBLISHED = {
    'c10': {'layernas': (94.34, 0.12), 'evolution': (94.13, 0.18),
            'ppo': (94.02, 0.13)},
    'c100': {'layernas': (73.01, 0.63), 'evolution': (71.40, 0.50),
             'ppo': (71.68, 0.65)},
    'in16': {'layernas': (46.58, 0.59), 'evolution': (44.76, 0.64),
             'ppo': (44.95, 0.52)},
}
_SOURCE = 'LayerNAS, arXiv 2304.11517, 5 runs'


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: '' or 'smoke', which shrinks it to four seeds.

  Returns:
    A locked config.
  """
  config = benchmark_default.get_config()
  config.title = "NATS-Bench topology, the LayerNAS paper's budget"
  for dataset, published in _PUBLISHED.items():
    section = nats_tss.benchmark_of(dataset)
    section.budget.seconds = 100_000.0
    section.published = ConfigDict({
        name: (*figures, _SOURCE) for name, figures in published.items()
    })
    config.benchmarks[f'nats_tss_{dataset}'] = section
  method = benchmark_default.method
  config.methods = ConfigDict({
      'layernas': method('layernas', buckets=100),
      'layernas_interleaved': method(
          'layernas', schedule='interleaved', buckets=100
      ),
      'random': method('random'),
      'evolution': method('evolution'),
      'local_search': method('local_search'),
  })
  config.compared = 'layernas'
  return benchmark_default.finish(config, argument)
