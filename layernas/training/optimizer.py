"""Optimisers with L2 weight decay."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import optax

from layernas.training.compiled_optimizer import CompiledUpdate
from layernas.training.compiled_optimizer import Updated
from layernas.training.compiled_optimizer import plain_update

OPTIMIZERS = ('sgd', 'rmsprop')

PARAMETER_KINDS = ('batch_norm', 'bias', 'depthwise', 'classifier')
"""What can be left out of the weight decay; a parameter may be of two kinds."""


def make_optimizer(
    config: Any, schedule: optax.Schedule
) -> optax.GradientTransformation:
  """SGD or RMSProp; the decay is the gradient of half the squared norm.

  Args:
    config: training section: `optimizer`, `momentum`, `rms_decay`,
      `rms_epsilon`, `weight_decay`, `weight_decay_excludes`.
    schedule: step to learning rate.

  Returns:
    The gradient transformation.
  """
  decay = optax.add_decayed_weights(
      config.weight_decay,
      mask=functools.partial(
          decayed, excludes=excluded_kinds(config.weight_decay_excludes)
      ),
  )
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


def make_update(
    config: Any, schedule: optax.Schedule, compiled: bool
) -> Callable[[Any, optax.OptState, Any], Updated]:
  """The step of `make_optimizer`'s optimiser, its state included.

  Args:
    config: as there.
    schedule: step to learning rate.
    compiled: as one kernel.

  Returns:
    (gradient, state, params) -> see `Updated`.
  """
  if not compiled:
    return functools.partial(plain_update, make_optimizer(config, schedule))
  excludes = excluded_kinds(config.weight_decay_excludes)

  def decays(params: Any) -> Any:
    return jax.tree.map(
        lambda included: config.weight_decay * included,
        decayed(params, excludes),
    )

  return CompiledUpdate(
      schedule, decays, config.momentum, config.rms_decay, config.rms_epsilon
  )


def excluded_kinds(text: str) -> frozenset[str]:
  """The kinds in a config's `weight_decay_excludes`."""
  return frozenset(filter(None, (kind.strip() for kind in text.split(','))))


def decayed(params: Any, excludes: frozenset[str]) -> Any:
  """Which parameters decay.

  Args:
    params: of a network, named as `layernas.models` names them.
    excludes: some of `PARAMETER_KINDS`.

  Returns:
    Tree of bools.
  """
  return jax.tree_util.tree_map_with_path(
      lambda path, _: not excludes & _kinds([key.key for key in path]), params
  )


def _kinds(path: list[str]) -> set[str]:
  """The kinds of a parameter; none for most kernels."""
  *modules, name = path
  module = modules[-1] if modules else ''
  if name == 'scale' or module.endswith('norm'):
    return {'batch_norm'}
  return ({module} & {'depthwise', 'classifier'}) | ({name} & {'bias'})
