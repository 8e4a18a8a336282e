"""Topology under a limit on the latency of a Raspberry Pi 4.

The cost that groups and limits networks is one of the 27 latency columns of the
topology table, here ms_raspi4 (HW-NAS-Bench); any other by
--config.benchmarks.nats_tss_c10.cost=ms_pixel3 and a limit of its own. At most
10 ms, the fastest eighth of the networks. Takes about eight minutes on two CPU
cores, most of them Optuna's. Expect an optimum of 90.9
(docs/results/nats_tss_latency).

  ./launch.sh benchmark --config=configs/nats_tss_latency.py \
    --workdir=workdir/nats_tss_latency
"""

from ml_collections import ConfigDict

from configs import benchmark_default
from configs import nats_tss


def get_config(argument: str = '') -> ConfigDict:
  """The config of the comparison.

  Args:
    argument: '' or 'smoke', which shrinks it to four seeds.

  Returns:
    A locked config.
  """
  config = benchmark_default.get_config()
  config.title = 'NATS-Bench topology under a latency limit'
  section = nats_tss.benchmark_of('c10')
  section.cost = 'ms_raspi4'
  section.target.high = 10.0
  section.protocol = 'CIFAR-10, at most 10 ms on a Raspberry Pi 4'
  # Published figures are without a limit.
  section.published = ConfigDict()
  config.benchmarks.nats_tss_c10 = section
  config.methods = nats_tss.methods(nats_tss.BUCKETS)
  config.compared = 'layernas'
  return benchmark_default.finish(config, argument)
