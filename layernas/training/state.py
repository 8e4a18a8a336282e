"""What changes while a network trains."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

Variables = dict[str, Any]


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
    variables: Variables, optimizer: optax.GradientTransformation, ema: bool
) -> TrainState:
  """State before the first step.

  Args:
    variables: initial 'params' and 'batch_stats'.
    optimizer: whose state is to be initialised.
    ema: whether to keep a moving average.

  Returns:
    The state, NumPy arrays.
  """
  names = ('loss', 'accuracy', 'top5', 'count', 'non_finite')
  return TrainState(
      step=np.zeros((), np.int32),
      variables=variables,
      optimizer=_initial_optimizer_state(optimizer, variables['params']),
      ema=jax.tree.map(np.copy, variables) if ema else {},
      sums={name: np.zeros((), np.float32) for name in names},
  )


def _initial_optimizer_state(
    optimizer: optax.GradientTransformation, params: Any
) -> optax.OptState:
  """State of an optimiser whose leaves are constant at first, as ours are.

  Run on scalars and filled on the host: on the parameters themselves it would
  compile a program for every shape.
  """
  shapes = jax.eval_shape(optimizer.init, params)
  values = optimizer.init(
      jax.tree.map(lambda leaf: np.zeros((), leaf.dtype), params)
  )
  return jax.tree.map(
      lambda leaf, value: np.full(leaf.shape, value, leaf.dtype),
      shapes, values,
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
