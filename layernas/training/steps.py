"""The state of a network in training, and the pmapped steps that change it."""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from layernas.models.batch_norm import mean_over
from layernas.models.network import AXIS
from layernas.networks.network import Task
from layernas.training import devices
from layernas.training import losses
from layernas.training.optimizer import Update

Variables = dict[str, Any]
"""'params' and, where the module has them, other collections such as
'batch_stats': trees of arrays."""

Batch = dict[str, jax.Array]
"""As `layernas.data.dataset.Batch`, split over the local devices."""


class TrainState(flax.struct.PyTreeNode):
  """Everything that a checkpoint must hold to go on bit for bit.

  Attributes:
    step: optimiser steps done.
    variables: 'params' and 'batch_stats', of the types of the module.
    optimizer: optax state.
    ema: moving average of `variables`, see `first_average`, or an empty dict.
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
    variables: Variables, optimizer_state: optax.OptState, ema: bool,
    metrics: Iterable[str] = ('accuracy', 'top5'),
) -> TrainState:
  """State before the first step.

  Args:
    variables: initial 'params' and 'batch_stats'.
    optimizer_state: initial as well.
    ema: whether to keep a moving average.
    metrics: names of the task's.

  Returns:
    The state, NumPy arrays.
  """
  names = ('loss', *metrics, 'count', 'non_finite')
  return TrainState(
      step=np.zeros((), np.int32),
      variables=variables,
      optimizer=optimizer_state,
      ema=first_average(variables) if ema else {},
      sums={name: np.zeros((), np.float32) for name in names},
  )


def first_average(variables: Variables) -> Variables:
  """The moving average before the first step.

  Args:
    variables: initial 'params' and 'batch_stats', NumPy arrays.

  Returns:
    Copies; those of bfloat16 are float32, since bfloat16 has too few digits for
    the small steps of an average.
  """
  return jax.tree.map(
      lambda leaf: np.array(leaf, jnp.promote_types(leaf.dtype, jnp.float32))
      if jnp.issubdtype(leaf.dtype, jnp.floating) else np.copy(leaf),
      variables,
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
      lambda old, new: old * decay + new.astype(old.dtype) * (1.0 - decay)
      if jnp.issubdtype(new.dtype, jnp.floating) else new,
      average, variables,
  )


@dataclasses.dataclass(frozen=True)
class _Measured:
  """A network and what it is for."""

  model: nn.Module
  task: Task

  def trained(
      self, variables: Variables, batch: Batch, changing: Sequence[str],
      rngs: Mapping[str, jax.Array],
  ) -> tuple[jax.Array, dict[str, jax.Array], Variables]:
    """Mean loss, metric sums, and the collections that a pass changes."""
    outputs, updated = self.model.apply(
        variables, self.task.inputs(batch), train=True, mutable=changing,
        rngs=rngs,
    )
    each, sums = self._sums(outputs, batch)
    return jnp.mean(each), sums, updated

  def evaluated(
      self, variables: Variables, batch: Batch
  ) -> dict[str, jax.Array]:
    """Metric sums."""
    outputs = self.model.apply(
        variables, self.task.inputs(batch), train=False
    )
    return self._sums(outputs, batch)[1]

  def _sums(
      self, outputs: Any, batch: Batch
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    each = self.task.loss(outputs, batch)
    return each, losses.metric_sums(
        each, self.task.metrics(outputs, batch), batch['mask']
    )


PRECISIONS = ('default', 'high', 'highest')
"""Of matrix products and convolutions on accelerators, as JAX names them."""


def make_train_step(
    model: nn.Module, update: Update, training: Any, task: Task | None = None,
    precision: str = 'default',
) -> Callable[[TrainState, Batch, jax.Array], TrainState]:
  """Compiles lazily a step over all local devices.

  Args:
    model: called as model.apply(variables, inputs, train=True).
    update: of the parameters.
    training: section of the config: `ema_decay`, and `log_every_steps`, after
      which the state's metric sums restart.
    task: that the network is for; None is to classify images, with the config's
      `label_smoothing`.
    precision: one of `PRECISIONS`.

  Returns:
    (replicated state, sharded batch, replicated seed) -> state. On accelerators
    the state given is consumed.
  """
  task = task or losses.classification(training.label_smoothing)
  step = functools.partial(
      _train_step, measured=_Measured(model, task), update=update,
      training=training,
  )
  donated = 0 if devices.on_accelerator() else ()
  return jax.pmap(
      _precise(step, precision), axis_name=AXIS, donate_argnums=donated
  )


def _precise(step: Callable[..., Any], precision: str) -> Callable[..., Any]:
  """A function that is traced with a precision, whenever that is."""
  def traced(*arguments: Any) -> Any:
    with jax.default_matmul_precision(precision):
      return step(*arguments)

  return traced


def _train_step(
    state: TrainState, batch: Batch, seed: jax.Array, *,
    measured: '_Measured', update: Update, training: Any,
) -> TrainState:
  key = jax.random.fold_in(jax.random.key(seed), state.step)
  key = jax.random.fold_in(key, jax.lax.axis_index(AXIS))

  changing = [name for name in state.variables if name != 'params']
  # Flax draws what has no stream of its own from that of 'params'.
  rngs = {'dropout': key, 'params': jax.random.fold_in(key, 1)}

  def loss_of(params: Any) -> tuple[jax.Array, Any]:
    variables = {**state.variables, 'params': params}
    loss, sums, updated = measured.trained(variables, batch, changing, rngs)
    return loss, (updated, sums)

  gradient, (updated, sums) = jax.grad(loss_of, has_aux=True)(
      state.variables['params']
  )
  params, optimizer_state, sums['non_finite'] = update(
      mean_over(gradient, AXIS), state.optimizer, state.variables['params']
  )
  # Devices that normalise by their own images keep one average.
  variables = {
      'params': params,
      **{name: _one_of(updated[name]) for name in changing},
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


def _one_of(tree: Any) -> Any:
  """Statistics of all devices as one; what is no average is the first's."""
  return jax.tree.map(
      lambda leaf: mean_over(leaf, AXIS)
      if jnp.issubdtype(leaf.dtype, jnp.floating)
      else jax.lax.all_gather(leaf, AXIS)[0],
      tree,
  )


def make_evaluation_step(
    model: nn.Module, task: Task | None = None, precision: str = 'default'
) -> Callable[[Variables, Batch], dict[str, jax.Array]]:
  """Compiles lazily: (replicated variables, sharded batch) -> metric sums.

  Args:
    model: called as model.apply(variables, inputs, train=False).
    task: that the network is for; None is to classify images.
    precision: one of `PRECISIONS`.

  Returns:
    The step; its sums are over all devices, one equal copy on each.
  """
  task = task or losses.classification()

  measured = _Measured(model, task)

  def step(variables: Variables, batch: Batch) -> dict[str, jax.Array]:
    return jax.lax.psum(measured.evaluated(variables, batch), AXIS)

  return jax.pmap(_precise(step, precision), axis_name=AXIS)
