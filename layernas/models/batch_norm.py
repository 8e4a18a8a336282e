"""Batch norm with the activation after it, in one kernel where there is one.

XLA's CPU backend makes many passes over the features for what takes three:
means, output, and backward one for the sums and one for the gradient.
Parameters and statistics are named and averaged as Flax's own BatchNorm does.
Activations and gates have the names that a NetworkSpec gives them.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from layernas.models.initialization import constant
from layernas.native import library


def hard_sigmoid(x: jax.Array) -> jax.Array:
  """relu6(x + 3) / 6 (MobileNetV3, section 5.2)."""
  return nn.relu6(x + 3.0) / 6.0


def hard_swish(x: jax.Array) -> jax.Array:
  """x * relu6(x + 3) / 6 (MobileNetV3, section 5.2)."""
  return x * hard_sigmoid(x)


def identity(x: jax.Array) -> jax.Array:
  """x, where a network has no activation."""
  return x


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'relu': nn.relu,
    'relu6': nn.relu6,
    'hard_swish': hard_swish,
    'swish': nn.swish,
    '': identity,
}
"""'' is none."""

GATES: dict[str, Callable[[jax.Array], jax.Array]] = {
    'hard_sigmoid': hard_sigmoid,
    'sigmoid': nn.sigmoid,
}

# Numbered as layernas/native/activations.h does.
IN_KERNEL = {'': 0, 'relu': 1, 'relu6': 2, 'hard_swish': 3}


def mean_over(tree: Any, axis_name: str | None) -> Any:
  """Means over a pmapped axis.

  Args:
    tree: of arrays.
    axis_name: of the axis; None stands for a single device.

  Returns:
    The tree; of a single device as it is, where XLA would copy every array.
  """
  if axis_name is None or jax.lax.axis_size(axis_name) == 1:
    return tree
  return jax.lax.pmean(tree, axis_name)


@dataclasses.dataclass(frozen=True)
class Variables:
  """Of a batch norm, all of shape (filters,).

  Attributes:
    mean: running average of the mean.
    var: running average of the variance.
    scale: parameter.
    bias: parameter.
  """

  mean: nn.Variable
  var: nn.Variable
  scale: jax.Array
  bias: jax.Array


class BatchNorm(nn.Module):
  """Normalises every filter by its batch, scales, shifts, activates.

  Attributes:
    use_running_average: normalise by the averages of earlier batches.
    momentum: share of the old average kept in a step.
    epsilon: added to the variance.
    dtype: of the output; statistics are float32.
    axis_name: pmapped axis over which the statistics are averaged, or None.
    compiled: use the kernel where it has a form for dtype and activation.
  """

  use_running_average: bool
  momentum: float
  epsilon: float
  dtype: Any = jnp.float32
  axis_name: str | None = None
  compiled: bool = False

  def __call__(self, x: jax.Array, activation: str = '') -> jax.Array:
    """Normalised and activated features.

    Args:
      x: shape (..., filters).
      activation: a key of `ACTIVATIONS`.

    Returns:
      The same shape, in `dtype`.
    """
    norm = self.declare(x.shape[-1])
    if self.use_running_average:
      factor = norm.scale * jax.lax.rsqrt(norm.var.value + self.epsilon)
      y = _apply(x, norm.mean.value, factor, norm.bias, activation)
      return y.astype(self.dtype)
    normalise = (
        _normalise_compiled if self.in_kernel(x, activation) else _normalise
    )
    y, mean, var = normalise(
        x, norm.scale, norm.bias, self.epsilon, activation, self.axis()
    )
    self.average(norm, mean, var)
    return y.astype(self.dtype)

  @nn.compact
  def declare(self, filters: int) -> Variables:
    """Parameters and running averages; once in a call of the network.

    Args:
      filters: of what is normalised.
    """
    shape = (filters,)
    zeros, ones = constant(0.0, 'batch_norm'), constant(1.0, 'batch_norm')
    return Variables(
        mean=self.variable('batch_stats', 'mean', zeros, None, shape),
        var=self.variable('batch_stats', 'var', ones, None, shape),
        scale=self.param('scale', ones, shape),
        bias=self.param('bias', zeros, shape),
    )

  def in_kernel(self, x: jax.Array, activation: str) -> bool:
    """Whether there is a kernel for this training batch.

    Args:
      x: what is normalised.
      activation: a key of `ACTIVATIONS`.
    """
    return (
        self.compiled and not self.use_running_average
        and activation in IN_KERNEL
        and x.dtype == self.dtype == jnp.float32 and x.size > 0
    )

  def axis(self) -> str | None:
    """Axis of the statistics; the first shapes are traced outside pmap."""
    return None if self.is_initializing() else self.axis_name

  def average(self, norm: Variables, mean: jax.Array, var: jax.Array) -> None:
    """Averages a batch's statistics into the running ones.

    Args:
      norm: from `declare`.
      mean: of the batch.
      var: of the batch.
    """
    if not self.is_initializing():
      for running, now in ((norm.mean, mean), (norm.var, var)):
        running.value = (
            self.momentum * running.value + (1.0 - self.momentum) * now
        )


def _apply(
    x: jax.Array, mean: jax.Array, factor: jax.Array, bias: jax.Array,
    activation: str,
) -> jax.Array:
  """Activated (x - mean) * factor + bias."""
  # In float32 first: bfloat16 features differ little from their mean.
  y = (x.astype(jnp.float32) - mean) * factor + bias
  return ACTIVATIONS[activation](y.astype(x.dtype))


def _normalise(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float,
    activation: str, axis_name: str | None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Normalised and activated features, mean and variance of the batch."""
  values = x.astype(jnp.float32)
  axes = tuple(range(x.ndim - 1))
  moments = jnp.mean(values, axes), jnp.mean(jnp.square(values), axes)
  mean, var = mean_and_variance(*mean_over(moments, axis_name))
  factor = scale * jax.lax.rsqrt(var + epsilon)
  return _apply(x, mean, factor, bias, activation), mean, var


def mean_and_variance(
    mean: jax.Array, square: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Mean and variance of x.

  Args:
    mean: of x.
    square: mean of its square.
  """
  # Rounding may leave less than nothing of filters that are constant.
  return mean, jnp.maximum(square - jnp.square(mean), 0.0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def _normalise_compiled(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float,
    activation: str, axis_name: str | None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """As `_normalise`; mean and variance have no gradient."""
  return _compiled_forward(x, scale, bias, epsilon, activation, axis_name)[0]


def _compiled_forward(
    x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float,
    activation: str, axis_name: str | None,
) -> Any:
  vector = jax.ShapeDtypeStruct(scale.shape, jnp.float32)
  moments = library.call('moments', (vector, vector), x)
  moments = mean_over(tuple(moments), axis_name)
  saved = (*moments, scale, bias)
  y = library.call(
      'normalise', jax.ShapeDtypeStruct(x.shape, jnp.float32), x, *saved,
      activation=IN_KERNEL[activation], epsilon=np.float32(epsilon),
  )
  return (y, *mean_and_variance(*moments)), (x, saved)


def _compiled_backward(
    epsilon: float, activation: str, axis_name: str | None, saved: Any,
    gradients: Any,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Gradients of x, scale and bias."""
  x, vectors = saved
  fields = {
      'activation': IN_KERNEL[activation], 'epsilon': np.float32(epsilon),
  }
  vector = jax.ShapeDtypeStruct(vectors[0].shape, jnp.float32)
  bias, scale = library.call(
      'normalise_parameter_gradients', (vector, vector),
      x, gradients[0], *vectors, **fields,
  )
  # The statistics depend on the positions of all devices.
  means = mean_over((bias, scale), axis_name)
  x_gradient = library.call(
      'normalise_input_gradient', jax.ShapeDtypeStruct(x.shape, jnp.float32),
      x, gradients[0], *vectors, *means, **fields,
  )
  return x_gradient, scale, bias


_normalise_compiled.defvjp(_compiled_forward, _compiled_backward)
