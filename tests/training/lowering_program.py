"""Lowers training steps for accelerators that are not here.

Usage: python -m tests.training.lowering_program CASE..., where a case is
NETWORK,VARIANT,DTYPE[,FIELD=VALUE...]: a network is a published one or the
default of a space; a variant is one of configs/imagenet.py with its recipe,
joined by a plus, or cifar10_small; fields are those of the config's section
`model`. The number of devices comes from
JAX_NUM_CPU_DEVICES. Prints a line of JSON for each case, step and platform.
"""

import json
import re
import sys
from unittest import mock

import jax
from ml_collections import ConfigDict

from configs import cifar10_small
from configs import imagenet
from layernas.networks.network import NetworkLike
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.registry import make_space
from layernas.networks.spec import NetworkSpec
from layernas.runs.plan import Sizes
from layernas.training.programs import make_steps

PLATFORMS = {'gpu': ('cuda', 'rocm'), 'tpu': ('tpu',)}
"""By JAX's backend."""

_SIDE, _CLASSES, _BATCH = 32, 10, 16


def _config(variant: str, dtype: str, fields: list[str]) -> ConfigDict:
  module = cifar10_small if variant == 'cifar10_small' else imagenet
  argument = () if module is cifar10_small else (variant.replace('+', ','),)
  config = module.get_config(*argument).unlock()
  config.model.dtype = dtype
  config.data.transfer = dtype
  config.model.update(dict(field.split('=') for field in fields))
  # The recipe of a final training has all that one of a candidate has.
  config.training = config.final.copy_and_resolve_references()
  config.training.batch_size = config.training.evaluation_batch_size = _BATCH
  config.training.epochs = 2.0
  config.training.warmup_epochs = min(config.training.warmup_epochs, 1.0)
  return config.lock()


def _network(name: str) -> NetworkLike:
  if name in REFERENCE_NETWORKS:
    return REFERENCE_NETWORKS[name]
  space = make_space(name)
  return space.network(space.search_space.default)


def _facts(step: object, arguments: tuple, platform: str) -> dict:
  """What is seen of a step that is lowered for a platform."""
  text = jax.jit(step).trace(*arguments).lower(
      lowering_platforms=(platform,)
  ).as_text()
  lowered = step.lower(*arguments).as_text()
  main = re.search(r'@main\((.*?)\) ->', lowered, re.DOTALL).group(1)
  consumed = [
      'tf.aliasing_output' in one or 'jax.buffer_donor' in one
      for one in re.split(r'%arg\d+:', main)[1:]
  ]
  state = len(jax.tree.leaves(arguments[0]))
  variables = getattr(arguments[0], 'variables', arguments[0])
  return {
      'parameters': len(jax.tree.leaves(variables['params'])),
      'statistics': len(jax.tree.leaves(variables.get('batch_stats', {}))),
      'custom_calls': sorted(set(re.findall(r'custom_call @([\w.]+)', text))),
      'f64': 'f64' in text,
      'precise': 'HIGHEST' in text,
      'bf16': 'bf16' in text,
      'all_reduces': len(re.findall(r'"?stablehlo\.all_reduce"?', text)),
      'consumed': sum(consumed[:state]), 'state': state,
      'consumed_others': sum(consumed[state:]),
  }


def main(cases: list[str]) -> None:
  """Prints the facts."""
  data = Sizes(_SIDE, _CLASSES, {'train': 10 * _BATCH})
  for case in cases:
    name, variant, dtype, *fields = case.split(',')
    config, network = _config(variant, dtype, fields), _network(name)
    for backend, platforms in PLATFORMS.items():
      with mock.patch.object(jax, 'default_backend', return_value=backend):
        steps = make_steps(config, network, data)
        for kind in ('train', 'evaluation'):
          for platform in platforms:
            facts = _facts(*getattr(steps, kind), platform)
            print(json.dumps({
                'case': case, 'step': kind, 'platform': platform,
                # Modules of a user's own normalise as they please.
                'sync': config.model.sync_batch_norm and isinstance(
                    network, NetworkSpec
                ), **facts,
            }), flush=True)
      jax.clear_caches()


if __name__ == '__main__':
  main(sys.argv[1:])
