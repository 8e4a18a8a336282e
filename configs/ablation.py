"""LayerNAS alone, one design choice varied at a time, on every table.

The argument says which: buckets (H), keep, start (where undecided layers
stand), order, spacing or schedule. Takes one to three minutes each on two CPU
cores. Expect what docs/ablations.md shows.

  ./launch.sh benchmark --config=configs/ablation.py:buckets \
    --workdir=workdir/ablation_buckets
"""

from typing import Any

from ml_collections import ConfigDict

from configs import benchmark_default
from configs import macro_benchmarks
from configs import nats_sss
from configs import nats_tss

_VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    'buckets': {
        f'H{n:03}': {'buckets': n} for n in (3, 5, 10, 20, 50, 100, 200)
    },
    'keep': {f'keep{n}': {'keep': n} for n in (1, 2, 3, 5)},
    'start': {
        name: {'start': name}
        for name in ('default', 'smallest', 'largest', 'random')
    },
    'order': {
        name: {'order': name} for name in ('forward', 'backward', 'random')
    },
    'spacing': {
        name: {'spacing': name} for name in ('linear', 'log', 'equal_count')
    },
    'schedule': {
        'sweep': {},
        'interleaved': {'schedule': 'interleaved'},
        'recentred': {'schedule': 'recentred', 'order': 'alternating'},
        'recentred_random_start': {
            'schedule': 'recentred', 'order': 'alternating', 'start': 'random',
        },
    },
}


def get_config(argument: str = 'buckets') -> ConfigDict:
  """The config of one ablation.

  Args:
    argument: what is varied, e.g. 'buckets'; 'buckets,smoke' takes four seeds.

  Returns:
    A locked config.

  Raises:
    ValueError: another argument.
  """
  varied, _, rest = argument.partition(',')
  if varied not in _VARIANTS:
    raise ValueError(
        f'config argument {argument!r}: allowed are {list(_VARIANTS)}, or one'
        ' of them with ,smoke'
    )
  config = benchmark_default.get_config()
  config.title = f'Ablation: {varied}'
  for dataset in ('c10', 'c100', 'in16'):
    section = nats_tss.benchmark_of(dataset)
    section.published = ConfigDict()
    config.benchmarks[f'nats_tss_{dataset}'] = section
  for table in ('nas_bench_macro', 'channel_bench_macro'):
    config.benchmarks[table] = macro_benchmarks.benchmark_of(table)
  config.benchmarks.nats_sss_c10 = nats_sss.benchmark_of()
  for name, settings in _VARIANTS[varied].items():
    section = benchmark_default.method('layernas', **(
        {'buckets': nats_tss.BUCKETS} | settings
    ))
    config.methods[name] = section
  return benchmark_default.finish(config, rest)
