"""Trains a few steps on all local devices; writes the variables to a file.

Usage: python -m tests.training.device_program FILE. The number of devices
comes from JAX_NUM_CPU_DEVICES.
"""

import sys

import jax
import numpy as np

from layernas.models.initialization import initial_variables
from layernas.training.devices import replicate
from layernas.training.devices import shard
from layernas.training.optimizer import make_optimizer
from layernas.training.programs import create_model
from layernas.training.steps import TrainState
from layernas.training.steps import initial_state
from layernas.training.steps import make_evaluation_step
from layernas.training.steps import make_train_step
from layernas.training.train import evaluate
from tests.training import small

STEPS = 10
BATCH = 32
PARTS = 8


def _rate(step):
  del step
  return 0.05


def first_state(config, model, optimizer) -> TrainState:
  """State before the first step, on the host."""
  variables = initial_variables(model, small.SIDE, seed=0)
  init = optimizer.compile_init(variables['params'])
  return initial_state(
      variables, init(variables['params']), config.training.ema_decay > 0
  )


def train(config, network, steps, batch_size=BATCH) -> TrainState:
  """Replicated state after some steps at a constant learning rate."""
  data = small.dataset()
  model = create_model(config, network, small.CLASSES)
  optimizer = make_optimizer(config.training, _rate)
  step = make_train_step(
      model, optimizer.update(compiled=True), config.training
  )
  state = replicate(first_state(config, model, optimizer))
  seed = replicate(np.int32(0))
  batches = data.train_batches('train', batch_size, seed=0)
  for _ in range(steps):
    state = step(state, shard(next(batches)), seed)
    jax.block_until_ready(state.sums)
  return state


def own_statistics(config) -> TrainState:
  """State after a step in which each device normalises by its own images."""
  config = config.copy_and_resolve_references().unlock()
  config.model.sync_batch_norm = False
  return train(config.lock(), small.NETWORK, steps=1)


def statistics_of_parts(config) -> list[dict]:
  """Batch statistics after each eighth of the first batch on its own."""
  model = create_model(config, small.NETWORK, small.CLASSES)
  model = model.clone(axis_name=None)
  variables = initial_variables(model, small.SIDE, seed=0)
  batch = next(small.dataset().train_batches('train', BATCH, seed=0))
  return [
      model.apply(variables, images, train=True, mutable=['batch_stats'])[1][
          'batch_stats'
      ]
      for images in np.split(batch['image'], PARTS)
  ]


def flat(prefix: str, tree) -> dict[str, np.ndarray]:
  """Leaves by their path."""
  return {
      prefix + jax.tree_util.keystr(path): np.asarray(leaf)
      for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def main(path: str) -> None:
  """Writes everything that the tests compare, on every device."""
  config = small.get_config(ema_decay=0.9, log_every_steps=4)
  state = train(config, small.NETWORK, STEPS)
  model = create_model(config, small.NETWORK, small.CLASSES)
  # 13 images in batches of 8: devices of the last batch have padding alone.
  metrics = evaluate(
      make_evaluation_step(model), state.evaluated, small.dataset(), 'test', 8
  )
  own = own_statistics(config)
  copied = train(
      small.get_config(optimizer='tests.training.own:schedule_free'),
      small.NETWORK, STEPS,
  )
  np.savez(
      path, devices=jax.local_device_count(), **flat('metrics', metrics),
      **flat('sync/variables', state.variables), **flat('sync/ema', state.ema),
      **flat('sync/sums', state.sums),
      **flat('own', own.variables['batch_stats']),
      **flat('sync/schedule_free', copied.variables),
  )


if __name__ == '__main__':
  main(sys.argv[1])
