"""Optimisers with L2 weight decay."""

from typing import Any

import jax
import optax

OPTIMIZERS = ('sgd', 'rmsprop')


def make_optimizer(
    config: Any, schedule: optax.Schedule
) -> optax.GradientTransformation:
  """SGD or RMSProp; the decay is the gradient of half the squared norm.

  Args:
    config: training section: `optimizer`, `momentum`, `rms_decay`,
      `rms_epsilon`, `weight_decay`.
    schedule: step to learning rate.

  Returns:
    The gradient transformation.
  """
  decay = optax.add_decayed_weights(config.weight_decay, mask=decayed)
  if config.optimizer == 'sgd':
    step = optax.sgd(schedule, momentum=config.momentum, nesterov=True)
  else:
    # TensorFlow's RMSProp: accumulator starts at one, epsilon inside the root,
    # learning rate before the momentum.
    step = optax.rmsprop(
        schedule, decay=config.rms_decay, eps=config.rms_epsilon,
        initial_scale=1.0, eps_in_sqrt=True, momentum=config.momentum,
    )
  return optax.chain(decay, step)


def decayed(params: Any) -> Any:
  """Tree of bools: decay kernels, neither biases nor batch norm's scales."""
  return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
