"""LayerNAS alone, one design choice varied at a time, on every table.

The argument says which: buckets (H), keep, start (where undecided layers
stand), order, spacing or schedule. Takes one to three minutes each on two CPU
cores. Expect what docs/ablations.md shows.

  ./launch.sh benchmark --config=configs/study/ablation.py:buckets
"""

from typing import Any

from ml_collections import ConfigDict

from configs.default import split_argument
from configs.study import default
from configs.study import macro
from configs.study import nats

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


def get_config(argument: str = '') -> ConfigDict:
  """The config of one ablation.

  Args:
    argument: what is varied, e.g. 'buckets'; 'buckets,smoke' takes four seeds.

  Returns:
    A locked config.

  Raises:
    ValueError: nothing to vary, or a word that is not allowed.
  """
  varied, smoke = split_argument(argument, _VARIANTS, ('smoke',))
  config = default.get_config()
  config.title = f'Ablation: {varied}'
  for dataset in ('c10', 'c100', 'in16'):
    section = nats.topology(dataset)
    section.published = ConfigDict()
    config.benchmarks[f'nats_tss_{dataset}'] = section
  for table in ('nas_bench_macro', 'channel_bench_macro'):
    config.benchmarks[table] = macro.section_of(table)
  config.benchmarks.nats_sss_c10 = nats.size()
  for name, settings in _VARIANTS[varied].items():
    section = default.method('layernas', **(
        {'buckets': nats.TOPOLOGY_BUCKETS} | settings
    ))
    config.methods[name] = section
  return default.finish(config, smoke)
