"""The state of a network in training, and the pmapped steps that change it."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from layernas.models.batch_norm import mean_over
from layernas.training import losses
from layernas.training.devices import AXIS
from layernas.training.optimizer import Update

Variables = dict[str, Any]
"""'params' and 'batch_stats', trees of arrays."""

Batch = dict[str, jax.Array]
"""As `layernas.data.dataset.Batch`, split over the local devices."""


class TrainState(flax.struct.PyTreeNode):
  """Everything that a checkpoint must hold to go on bit for bit.

  Attributes:
    step: optimiser steps done.
    variables: 'params' and 'batch_stats', float32.
    optimizer: optax state.
    ema: moving average of `variables`, or an empty dict.
    sums: metric sums since the last logged step; 'non_finite' is above zero
      where a gradient held a NaN or an infinity.
  """

  step: jax.Array
  variables: Variables
  optimizer: optax.OptState
  ema: Variables
  sums: dict[str, jax.Array]

  @property
  def evaluated(self) -> Variables:
    """The variables to evaluate with: the average where there is one."""
    return self.ema or self.variables


def initial_state(
    variables: Variables, optimizer_state: optax.OptState, ema: bool
) -> TrainState:
  """State before the first step.

  Args:
    variables: initial 'params' and 'batch_stats'.
    optimizer_state: initial as well.
    ema: whether to keep a moving average.

  Returns:
    The state, NumPy arrays.
  """
  names = ('loss', 'accuracy', 'top5', 'count', 'non_finite')
  return TrainState(
      step=np.zeros((), np.int32),
      variables=variables,
      optimizer=optimizer_state,
      ema=jax.tree.map(np.copy, variables) if ema else {},
      sums={name: np.zeros((), np.float32) for name in names},
  )


def moving_average(
    average: Variables, variables: Variables, decay: float, step: jax.Array
) -> Variables:
  """One step of the average of params and batch statistics.

  Args:
    average: so far; an empty dict stays empty.
    variables: after the optimiser step.
    decay: limit of the decay; early steps use (1 + step) / (10 + step), as
      TensorFlow's ExponentialMovingAverage with num_updates does.
    step: steps done before.

  Returns:
    The new average.
  """
  if not average:
    return average
  decay = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
  return jax.tree.map(
      lambda old, new: old * decay + new * (1.0 - decay), average, variables
  )


def make_train_step(
    model: nn.Module, update: Update, training: Any
) -> Callable[[TrainState, Batch, jax.Array], TrainState]:
  """Compiles lazily a step over all local devices.

  Args:
    model: called as model.apply(variables, images, train=True).
    update: of the parameters.
    training: section of the config: `label_smoothing`, `ema_decay`, and
      `log_every_steps`, after which the state's metric sums restart.

  Returns:
    (replicated state, sharded batch, replicated seed) -> state. On accelerators
    the state given is consumed.
  """
  step = functools.partial(
      _train_step, model=model, update=update, training=training
  )
  # On CPU, XLA copies what a step reads before it overwrites it.
  donated = () if jax.default_backend() == 'cpu' else 0
  return jax.pmap(step, axis_name=AXIS, donate_argnums=donated)


def _train_step(
    state: TrainState, batch: Batch, seed: jax.Array, *, model: nn.Module,
    update: Update, training: Any,
) -> TrainState:
  key = jax.random.fold_in(jax.random.key(seed), state.step)
  key = jax.random.fold_in(key, jax.lax.axis_index(AXIS))

  def loss_of(params: Any) -> tuple[jax.Array, Any]:
    variables = {**state.variables, 'params': params}
    logits, updated = model.apply(
        variables, batch['image'], train=True, mutable=['batch_stats'],
        rngs={'dropout': key},
    )
    entropy = losses.cross_entropy(
        logits, batch['label'], training.label_smoothing
    )
    sums = losses.metric_sums(logits, batch['label'], batch['mask'], entropy)
    return jnp.mean(entropy), (updated, sums)

  gradient, (updated, sums) = jax.grad(loss_of, has_aux=True)(
      state.variables['params']
  )
  params, optimizer_state, sums['non_finite'] = update(
      mean_over(gradient, AXIS), state.optimizer, state.variables['params']
  )
  variables = {
      'params': params,
      # Devices that normalise by their own images keep one average.
      'batch_stats': mean_over(updated['batch_stats'], AXIS),
  }
  fresh = state.step % training.log_every_steps == 0
  sums = jax.tree.map(
      lambda old, new: jnp.where(fresh, 0.0, old) + new,
      state.sums, jax.lax.psum(sums, AXIS),
  )
  return TrainState(
      step=state.step + 1,
      variables=variables,
      optimizer=optimizer_state,
      ema=moving_average(
          state.ema, variables, training.ema_decay, state.step
      ),
      sums=sums,
  )


def make_evaluation_step(
    model: nn.Module,
) -> Callable[[Variables, Batch], dict[str, jax.Array]]:
  """Compiles lazily: (replicated variables, sharded batch) -> metric sums.

  Args:
    model: called as model.apply(variables, images, train=False).

  Returns:
    The step; its sums are over all devices, one equal copy on each.
  """

  def step(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
    logits = model.apply(variables, batch['image'], train=False)
    entropy = losses.cross_entropy(logits, batch['label'])
    sums = losses.metric_sums(logits, batch['label'], batch['mask'], entropy)
    return jax.lax.psum(sums, AXIS)

  return jax.pmap(step, axis_name=AXIS)
