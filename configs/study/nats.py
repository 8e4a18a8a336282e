"""LayerNAS and its baselines on NATS-Bench, 500 runs of each.

The argument says which comparison; `smoke` may follow it, as in topology,smoke.

topology: the benchmark's own protocol. The signal is the validation accuracy
  after the 12-epoch schedule, the clock the seconds of 12 training epochs and a
  validation pass for every query, and the answer's 200-epoch test accuracy is
  reported. Takes three minutes on two CPU cores. Expect 93.9 / 71.6 / 45.3 for
  random search and 94.4 / 73.1 / 46.3 for LayerNAS (docs/results/nats_tss).
paper: topology with the budget of the LayerNAS paper, 100,000 seconds. That is
  five times the benchmark's own on CIFAR-10, so nothing here may stand beside
  the rows of `topology` without saying so. H = 100 as in the paper; its 5 runs
  are 500 here. Takes a minute. Expect 94.4 / 73.1 / 46.3 for LayerNAS
  (docs/results/nats_tss_paper).
latency: topology at most 10 ms long on a Raspberry Pi 4, the fastest eighth of
  the networks. The cost that groups and limits them is one of the table's 27
  latency columns, ms_raspi4 (HW-NAS-Bench); for another one set
  --config.benchmarks.nats_tss_c10.cost=ms_pixel3 and a limit of its own. Takes
  eight minutes, most of them Optuna's. Expect an optimum of 90.9
  (docs/results/nats_tss_latency).
size: the size space with an oracle reward. The packaged table has no
  short-training signal: every query gives the final CIFAR-10 test accuracy
  itself, so nothing here may stand beside published figures. At most 140
  million MAdds, about half of the largest, and 300 queries. Takes two minutes.
  Expect 93.2 to 93.34, the optimum under the limit (docs/results/nats_sss).
official: the size space by the benchmark's protocol. Needs the table that
  tools/convert_nats_bench.py makes of NATS-sss-v1_0-50262-simple
  (docs/nats_bench_files.md); we do not have that file and have not run this.
  Takes two minutes. Expect LayerNAS's published 93.20 / 70.64 / 45.37 to be a
  guide only, since its budget is not known.

  ./launch.sh benchmark
  ./launch.sh benchmark --config=configs/study/nats.py:topology
  ./launch.sh convert_nats_bench --space=size \
    --source=NATS-sss-v1_0-50262-simple --output=nats_sss.csv.gz
  ./launch.sh benchmark --config=configs/study/nats.py:official
"""

from ml_collections import ConfigDict

from configs.default import split_argument
from configs.study import default

TOPOLOGY_BUCKETS = 5
"""H, chosen on CIFAR-10's signal alone by configs/study/ablation.py:buckets."""

SIZE_BUCKETS = 10
"""H of the layer tables of the size space."""

# Simulated seconds and the published test accuracies over 500 runs (NATS-Bench,
# arXiv 2009.00437, quoted second-hand).
_TOPOLOGY = {
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
_TOPOLOGY_SOURCE = 'NATS-Bench, arXiv 2009.00437, 500 runs, quoted second-hand'

_PAPER = {
    'c10': {'layernas': (94.34, 0.12), 'evolution': (94.13, 0.18),
            'ppo': (94.02, 0.13)},
    'c100': {'layernas': (73.01, 0.63), 'evolution': (71.40, 0.50),
             'ppo': (71.68, 0.65)},
    'in16': {'layernas': (46.58, 0.59), 'evolution': (44.76, 0.64),
             'ppo': (44.95, 0.52)},
}
_PAPER_SOURCE = 'LayerNAS, arXiv 2304.11517, 5 runs'

# Simulated seconds, limit in million MAdds (about half of the largest
# network's) and LayerNAS's published test accuracy.
_OFFICIAL = {
    'c10': ('CIFAR-10', 20_000.0, 140.0, 93.20),
    'c100': ('CIFAR-100', 40_000.0, 140.0, 70.64),
    'in16': ('ImageNet16-120', 60_000.0, 35.0, 45.37),
}
_OFFICIAL_SOURCE = 'LayerNAS, arXiv 2304.11517; no spread is known to us'


def get_config(argument: str = '') -> ConfigDict:
  """The config of one comparison.

  Args:
    argument: topology, paper, latency, size or official; `,smoke` behind it
      shrinks the comparison to four seeds.

  Returns:
    A locked config.

  Raises:
    ValueError: no comparison, or a word that is not allowed.
  """
  variant, smoke = split_argument(argument, _VARIANTS, ('smoke',))
  config = default.get_config()
  _VARIANTS[variant](config)
  config.compared = 'layernas'
  return default.finish(config, smoke)


def topology(dataset: str) -> ConfigDict:
  """The topology space with the standard budget of a data set.

  Args:
    dataset: c10, c100 or in16.

  Returns:
    The benchmark's section, unlocked.
  """
  name, seconds, published = _TOPOLOGY[dataset]
  section = default.benchmark(
      table__name='nats_tss', rewards=(f'val12_{dataset}',),
      report=f'test200_{dataset}', cost=f'madds_{dataset}',
      seconds=f'simcost12_{dataset}', budget__seconds=seconds,
      signal='validation accuracy after the 12-epoch schedule, %',
      metric='test accuracy after 200 epochs, %',
      protocol=f'{name}, no cost limit',
  )
  for method, (mean, deviation) in published.items():
    section.published[method] = (mean, deviation, _TOPOLOGY_SOURCE)
  return section


def size() -> ConfigDict:
  """The size space: CIFAR-10 under half of the largest network's MAdds.

  Returns:
    The benchmark's section, unlocked.
  """
  return default.benchmark(
      table__name='nats_sss', rewards=('test90_c10',), report='test90_c10',
      cost='madds_c10', target__high=140e6, budget__trials=300,
      signal='oracle reward: test accuracy after 90 epochs, %',
      metric='the same figure, %',
      protocol='CIFAR-10, at most 140 M MAdds; no short-training signal is in'
      ' the table, so this is no like for like with published figures',
  )


def _set_topology(config: ConfigDict) -> None:
  config.title = 'NATS-Bench topology'
  for dataset in _TOPOLOGY:
    config.benchmarks[f'nats_tss_{dataset}'] = topology(dataset)
  config.methods = default.methods(TOPOLOGY_BUCKETS)


def _set_paper(config: ConfigDict) -> None:
  config.title = "NATS-Bench topology, the LayerNAS paper's budget"
  for dataset, published in _PAPER.items():
    section = topology(dataset)
    section.budget.seconds = 100_000.0
    section.published = ConfigDict({
        name: (*figures, _PAPER_SOURCE) for name, figures in published.items()
    })
    config.benchmarks[f'nats_tss_{dataset}'] = section
  method = default.method
  config.methods = ConfigDict({
      'layernas': method('layernas', buckets=100),
      'layernas_interleaved': method(
          'layernas', schedule='interleaved', buckets=100
      ),
      'random': method('random'),
      'evolution': method('evolution'),
      'local_search': method('local_search'),
  })


def _set_latency(config: ConfigDict) -> None:
  config.title = 'NATS-Bench topology under a latency limit'
  section = topology('c10')
  section.cost = 'ms_raspi4'
  section.target.high = 10.0
  section.protocol = 'CIFAR-10, at most 10 ms on a Raspberry Pi 4'
  # Published figures are without a limit.
  section.published = ConfigDict()
  config.benchmarks.nats_tss_c10 = section
  config.methods = default.methods(TOPOLOGY_BUCKETS)


def _set_size(config: ConfigDict) -> None:
  config.title = 'NATS-Bench size, oracle reward'
  config.benchmarks.nats_sss_c10 = size()
  config.methods = default.methods(SIZE_BUCKETS, optuna_seeds=50)


def _set_official(config: ConfigDict) -> None:
  config.title = 'NATS-Bench size'
  for dataset, (name, seconds, limit, published) in _OFFICIAL.items():
    section = default.benchmark(
        table__file='nats_sss.csv.gz', table__pattern='[^:]+',
        rewards=(f'val12_{dataset}',), report=f'test90_{dataset}',
        cost=f'mflops_{dataset}', target__high=limit,
        seconds=f'simcost12_{dataset}', budget__seconds=seconds,
        signal='validation accuracy after the 12-epoch schedule, %',
        metric='test accuracy after 90 epochs, %',
        protocol=f'{name}, at most {limit:g} M MAdds',
    )
    section.published.layernas = (published, 0.0, _OFFICIAL_SOURCE)
    config.benchmarks[f'nats_sss_{dataset}'] = section
  config.methods = default.methods(SIZE_BUCKETS, optuna_seeds=50)


_VARIANTS = {
    'topology': _set_topology,
    'paper': _set_paper,
    'latency': _set_latency,
    'size': _set_size,
    'official': _set_official,
}
