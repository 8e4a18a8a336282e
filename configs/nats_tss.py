"""LayerNAS and its baselines on NATS-Bench topology, 500 runs of each.

The benchmark's own protocol: the signal is the validation accuracy after the
12-epoch schedule, the clock the seconds of 12 training epochs and a validation
pass for every query, the answer's 200-epoch test accuracy is reported. Takes
about three minutes on two CPU cores. Expect 93.9 / 71.6 / 45.3 for random
search and 94.4 / 73.1 / 46.3 for LayerNAS (docs/results/nats_tss).

  ./launch.sh benchmark
  ./launch.sh benchmark --config=configs/nats_tss.py --workdir=workdir/nats_tss
"""

from ml_collections import ConfigDict

from configs import benchmark_default

# Simulated seconds and the published test accuracies over 500 runs (NATS-Bench,
# arXiv 2009.00437, quoted second-hand).
_DATASETS = {
    'c10': ('CIFAR-10', 20_000.0, {
        'random': (93.86, 0.23), 'reinforce': (93.90, 0.26),
        'evolution': (94.02, 0.31), 'bohb': (93.94, 0.28),
    }),
    'c100': ('CIFAR-100', 40_000.0, {
        'random': (71.55, 0.97), 'reinforce': (71.86, 0.89),
        'evolution': (72.23, 0.84), 'bohb': (72.00, 0.86),
    }),
    'in16': ('ImageNet16-120', 120_000.0, {
        'random': (45.28, 0.97), 'reinforce': (45.64, 0.78),
        'evolution': (45.77, 0.80), 'bohb': (45.70, 0.86),
    }),
}
_SOURCE = 'NATS-Bench, arXiv 2009.00437, 500 runs, quoted second-hand'

BUCKETS = 5
"""H, chosen on CIFAR-10's signal alone by configs/ablation.py:buckets."""


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: '' or 'smoke', which shrinks it to four seeds.

  Returns:
    A locked config.
  """
  config = benchmark_default.get_config()
  config.title = 'NATS-Bench topology'
  for dataset in _DATASETS:
    config.benchmarks[f'nats_tss_{dataset}'] = benchmark_of(dataset)
  config.methods = methods(BUCKETS)
  config.compared = 'layernas'
  return benchmark_default.finish(config, argument)


def benchmark_of(dataset: str) -> ConfigDict:
  """One of the three data sets with its standard budget.

  Args:
    dataset: c10, c100 or in16.

  Returns:
    The section, unlocked.
  """
  name, seconds, published = _DATASETS[dataset]
  section = benchmark_default.benchmark(
      table__name='nats_tss', rewards=(f'val12_{dataset}',),
      report=f'test200_{dataset}', cost=f'madds_{dataset}',
      seconds=f'simcost12_{dataset}', budget__seconds=seconds,
      signal='validation accuracy after the 12-epoch schedule, %',
      metric='test accuracy after 200 epochs, %',
      protocol=f'{name}, no cost limit',
  )
  for method, (mean, deviation) in published.items():
    section.published[method] = (mean, deviation, _SOURCE)
  return section


def methods(buckets: int, optuna_seeds: int = 100) -> ConfigDict:
  """LayerNAS's schedules and all baselines.

  Args:
    buckets: H of the layer tables.
    optuna_seeds: runs of Optuna's samplers, which take most of the time; 0
      leaves them out.

  Returns:
    Sections by name, unlocked.
  """
  method = benchmark_default.method
  sections = ConfigDict({
      'layernas': method('layernas', buckets=buckets),
      'layernas_random_order': method(
          'layernas', buckets=buckets, order='random'
      ),
      'layernas_recentred': method(
          'layernas', schedule='recentred', buckets=buckets, start='random',
          order='alternating',
      ),
      'layernas_interleaved': method(
          'layernas', schedule='interleaved', buckets=buckets
      ),
      'random': method('random'),
      'evolution': method('evolution'),
      'local_search': method('local_search'),
      'reinforce': method('reinforce'),
  })
  for sampler in ('tpe', 'nsga2') if optuna_seeds else ():
    sections[sampler] = method('optuna', seeds=optuna_seeds, sampler=sampler)
  return sections
