"""NATS-Bench size by its own protocol, for those who have the official file.

Needs the table that tools/convert_nats_bench.py makes of
NATS-sss-v1_0-50262-simple (docs/nats_bench_files.md): the signal is the
validation accuracy after the 12-epoch schedule, the clock its seconds, at most
140 / 140 / 35 million MAdds. Takes about two minutes on two CPU cores once the
table is there. Not run by us: we do not have the file. Expect LayerNAS's
published 93.20 / 70.64 / 45.37 to be a guide only, their budget is not known.

  ./launch.sh convert_nats_bench --space=size \
    --source=NATS-sss-v1_0-50262-simple --output=nats_sss.csv.gz
  ./launch.sh benchmark --config=configs/nats_sss_official.py \
    --workdir=workdir/nats_sss_official
"""

from ml_collections import ConfigDict

from configs import benchmark_default
from configs import nats_sss
from configs import nats_tss

# Name, simulated seconds, limit in million MAdds (about half of the largest
# network's) and LayerNAS's published test accuracy.
_DATASETS = {
    'c10': ('CIFAR-10', 20_000.0, 140.0, 93.20),
    'c100': ('CIFAR-100', 40_000.0, 140.0, 70.64),
    'in16': ('ImageNet16-120', 60_000.0, 35.0, 45.37),
}


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: '' or 'smoke', which shrinks it to four seeds.

  Returns:
    A locked config.
  """
  config = benchmark_default.get_config()
  config.title = 'NATS-Bench size'
  for dataset, (name, seconds, limit, published) in _DATASETS.items():
    section = benchmark_default.benchmark(
        table__file='nats_sss.csv.gz', table__pattern='[^:]+',
        rewards=(f'val12_{dataset}',), report=f'test90_{dataset}',
        cost=f'mflops_{dataset}', target__high=limit,
        seconds=f'simcost12_{dataset}', budget__seconds=seconds,
        signal='validation accuracy after the 12-epoch schedule, %',
        metric='test accuracy after 90 epochs, %',
        protocol=f'{name}, at most {limit:g} M MAdds',
    )
    section.published.layernas = (
        published, 0.0, 'LayerNAS, arXiv 2304.11517; no spread is known to us'
    )
    config.benchmarks[f'nats_sss_{dataset}'] = section
  config.methods = nats_tss.methods(nats_sss.BUCKETS, optuna_seeds=50)
  config.compared = 'layernas'
  return benchmark_default.finish(config, argument)
