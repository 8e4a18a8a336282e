"""Audit of the paper's assumption on every enumerated table.

Counts, for each prefix length, in how many cost buckets the best prefix extends
a best prefix of the length before, what a sweep keeps, and how many prefixes of
the best networks a perfect memory would drop. Takes seconds. Expect the
assumption to hold in about 50 to 90 % of the buckets, by table and H
(docs/audit.md).

  ./launch.sh audit
  ./launch.sh audit --config=configs/study/audit.py
"""

from ml_collections import ConfigDict

from configs.study import default
from configs.study import macro
from configs.study import nats


def get_config(argument: str = '') -> ConfigDict:
  """The config of the audit.

  Args:
    argument: '' or 'smoke', which audits one H.

  Returns:
    A locked config.

  Raises:
    ValueError: another argument.
  """
  if argument not in ('', 'smoke'):
    raise ValueError(
        f"config argument {argument!r}: allowed are 'smoke' or none"
    )
  config = ConfigDict()
  # H, one audit of every table for each.
  config.buckets = (10,) if argument else (5, 10, 100)
  # Where undecided layers stand: default, smallest or largest.
  config.start = 'default'
  # Order of the layers: forward or backward.
  config.order = 'forward'
  # How the cost axis is cut: linear, log or equal_count.
  config.spacing = 'linear'
  # Best networks whose prefixes are followed.
  config.top = 100
  # By name; see `benchmark` in configs/study/default.py.
  config.benchmarks = ConfigDict()
  for dataset in ('c10', 'c100', 'in16'):
    config.benchmarks[f'nats_tss_{dataset}'] = nats.topology(dataset)
  config.benchmarks.nats_sss_c10 = nats.size()
  for table in ('nas_bench_macro', 'channel_bench_macro'):
    config.benchmarks[table] = macro.section_of(table)
  for kind in ('additive', 'interacting'):
    config.benchmarks[kind] = default.benchmark(
        table__name='nas_bench_macro', cost='madds', synthetic=kind,
        target__high=52_830_464.0, budget__trials=300,
        protocol='synthetic reward over the space of NAS-Bench-Macro',
    )
  return config.lock()
