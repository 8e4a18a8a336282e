"""Optimisers with L2 weight decay.

Learning-rate schedules.

An optimiser step over all parameters as one kernel.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from layernas.models.initialization import parameter_kinds
from layernas.native import library
from layernas.training.losses import non_finite

SCHEDULES = ('cosine', 'stepped', 'constant')


def learning_rate(config: Any, steps_per_epoch: int) -> optax.Schedule:
  """Linear warm-up, then the configured decay.

  Args:
    config: training section: `learning_rate` (per 256 images), `batch_size`
      (global), `schedule`, `epochs`, `warmup_epochs`, `decay_rate` and
      `decay_epochs` (the last two for 'stepped').
    steps_per_epoch: optimiser steps.

  Returns:
    Step to learning rate.
  """
  peak = config.learning_rate * config.batch_size / 256
  steps = round(config.epochs * steps_per_epoch)
  warmup = round(config.warmup_epochs * steps_per_epoch)
  if config.schedule == 'cosine':
    decay = optax.cosine_decay_schedule(peak, max(1, steps - warmup))
  elif config.schedule == 'stepped':
    # The staircase counts from the start of training, warm-up included.
    staircase = optax.exponential_decay(
        peak, max(1, round(config.decay_epochs * steps_per_epoch)),
        config.decay_rate, staircase=True,
    )

    def decay(step: Any) -> Any:
      return staircase(step + warmup)

  else:
    decay = optax.constant_schedule(peak)
  if not warmup:
    return decay
  ramp = optax.linear_schedule(0.0, peak, warmup)
  return optax.join_schedules([ramp, decay], [warmup])


Updated = tuple[Any, optax.OptState, jax.Array]
"""Parameters, optimiser state, and 1.0 where a gradient is not finite."""


def plain_update(
    optimizer: optax.GradientTransformation, gradient: Any,
    state: optax.OptState, params: Any,
) -> Updated:
  """One step as optax takes it.

  Args:
    optimizer: gradient transformation.
    gradient: tree of the loss's gradient.
    state: of the optimiser.
    params: tree of parameters.

  Returns:
    See `Updated`.
  """
  updates, new_state = optimizer.update(gradient, state, params)
  return optax.apply_updates(params, updates), new_state, non_finite(gradient)


@dataclasses.dataclass(frozen=True)
class CompiledUpdate:
  """One step of SGD or RMSProp, with the state that optax keeps for them.

  XLA makes thousands of small programs of the same arithmetic, and copies what
  they overwrite.

  Attributes:
    schedule: step to learning rate.
    decays: (params) -> tree of weight decays, zeros for what is left out.
    momentum: Nesterov's for SGD; after the learning rate for RMSProp.
    square_decay: of RMSProp.
    epsilon: of RMSProp.
  """

  schedule: optax.Schedule
  decays: Any
  momentum: float
  square_decay: float
  epsilon: float

  def __call__(
      self, gradient: Any, state: optax.OptState, params: Any
  ) -> Updated:
    """One step.

    Args:
      gradient: tree of the loss's gradient.
      state: of optax's optimiser.
      params: tree of parameters, float32.

    Returns:
      See `Updated`.
    """
    tree = jax.tree.structure(params)
    count = optax.tree.get(state, 'count')
    kept = {'trace': optax.tree.get(state, 'trace')}
    if optax.tree.get(state, 'nu') is not None:
      kept['nu'] = optax.tree.get(state, 'nu')
    leaves = jax.tree.leaves((params, *kept.values()))
    flag, *new = library.call(
        'optimizer',
        [jax.ShapeDtypeStruct((), jnp.float32)]
        + [jax.ShapeDtypeStruct(leaf.shape, jnp.float32) for leaf in leaves],
        jnp.asarray(self.schedule(count), jnp.float32),
        *jax.tree.leaves(gradient), *leaves,
        decays=np.array(jax.tree.leaves(self.decays(params)), np.float32),
        momentum=np.float32(self.momentum),
        square_decay=np.float32(self.square_decay),
        epsilon=np.float32(self.epsilon),
    )
    new_params, *new_kept = (
        jax.tree.unflatten(tree, new[first:first + tree.num_leaves])
        for first in range(0, len(new), tree.num_leaves)
    )
    new_state = optax.tree.set(
        state, count=optax.safe_increment(count),
        **dict(zip(kept, new_kept, strict=True)),
    )
    return new_params, new_state, flag


OPTIMIZERS = ('sgd', 'rmsprop')


def make_optimizer(
    config: Any, schedule: optax.Schedule, kinds: Any = None
) -> optax.GradientTransformation:
  """SGD or RMSProp; the decay is the gradient of half the squared norm.

  Args:
    config: training section: `optimizer`, `momentum`, `rms_decay`,
      `rms_epsilon`, `weight_decay`, `weight_decay_excludes`.
    schedule: step to learning rate.
    kinds: of the parameters, as `Initialization` has them; None where nothing
      is declared.

  Returns:
    The gradient transformation.
  """
  decay = optax.add_decayed_weights(
      config.weight_decay,
      mask=functools.partial(
          decayed, excludes=excluded_kinds(config.weight_decay_excludes),
          kinds=kinds,
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
    config: Any, schedule: optax.Schedule, compiled: bool, kinds: Any = None
) -> Callable[[Any, optax.OptState, Any], Updated]:
  """The step of `make_optimizer`'s optimiser, its state included.

  Args:
    config: as there.
    schedule: step to learning rate.
    compiled: as one kernel.
    kinds: of the parameters, as there.

  Returns:
    (gradient, state, params) -> see `Updated`.
  """
  if not compiled:
    return functools.partial(
        plain_update, make_optimizer(config, schedule, kinds)
    )
  excludes = excluded_kinds(config.weight_decay_excludes)

  def decays(params: Any) -> Any:
    return jax.tree.map(
        lambda included: config.weight_decay * included,
        decayed(params, excludes, kinds),
    )

  return CompiledUpdate(
      schedule, decays, config.momentum, config.rms_decay, config.rms_epsilon
  )


def excluded_kinds(text: str) -> frozenset[str]:
  """The kinds in a config's `weight_decay_excludes`."""
  return frozenset(filter(None, (kind.strip() for kind in text.split(','))))


def decayed(params: Any, excludes: frozenset[str], kinds: Any = None) -> Any:
  """Which parameters decay.

  Args:
    params: tree of parameters.
    excludes: some of `models.initialization.PARAMETER_KINDS`.
    kinds: tree of frozensets: the kinds of each; None where nothing is
      declared.

  Returns:
    Tree of bools.
  """
  if kinds is None:
    kinds = parameter_kinds(params)
  return jax.tree.map(lambda of_one: not excludes & of_one, kinds)
