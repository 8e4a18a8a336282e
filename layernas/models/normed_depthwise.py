"""Batch norm, activation, depthwise convolution, batch norm, activation, fused.

What the convolution receives and the gradient of its output are larger than
most else in a network, and memory is what a step on CPU waits for. The kernels
of layernas/native compute both row by row inside the convolution and its
gradients; they are never in memory. Statistics and the gradients of scale and
bias come from the same passes.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from layernas.models.batch_norm import IN_KERNEL
from layernas.models.batch_norm import BatchNorm
from layernas.models.batch_norm import mean_and_variance
from layernas.models.batch_norm import mean_over
from layernas.models.convolutions import has_kernel
from layernas.native import library


def is_fused(
    x: jax.Array, norm: BatchNorm, side: int, stride: int, activation: str
) -> bool:
  """Whether there is a kernel for `normed_depthwise`.

  Args:
    x: what the first norm receives.
    norm: the first norm; the convolution's type is the norm's.
    side: of the convolution's kernel.
    stride: of the convolution.
    activation: after both norms.
  """
  return norm.in_kernel(x, activation) and has_kernel(side, stride)


def normed_depthwise(
    x: jax.Array, first: BatchNorm, kernel: jax.Array, second: BatchNorm,
    stride: int, activation: str,
) -> jax.Array:
  """second(depthwise_conv(first(x))), both norms activated, in training.

  Args:
    x: shape (batch, height, width, filters), float32.
    first: norm of x.
    kernel: of the convolution, shape (k, k, 1, filters).
    second: norm of the convolution's output; settings as `first`.
    stride: of the convolution.
    activation: after both norms.

  Returns:
    Shape (batch, ceil(height / stride), ceil(width / stride), filters).
  """
  norms = first.declare(x.shape[-1]), second.declare(x.shape[-1])
  y, *statistics = _normed_depthwise(
      x, kernel, *((norm.scale, norm.bias) for norm in norms),
      _Form(stride, activation, first.epsilon, first.axis()),
  )
  for module, norm, now in zip((first, second), norms, statistics, strict=True):
    module.average(norm, *now)
  return y


@dataclasses.dataclass(frozen=True)
class _Form:
  """What is not differentiated: see `normed_depthwise` and `BatchNorm`."""

  stride: int
  activation: str
  epsilon: float
  axis_name: str | None


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _normed_depthwise(
    x: jax.Array, kernel: jax.Array, first: Any, second: Any, form: _Form
) -> Any:
  """Output, and mean and variance of x and of the convolution's output.

  `first` and `second` are scale and bias. The statistics have no gradient.
  """
  return _forward(x, kernel, first, second, form)[0]


def _forward(
    x: jax.Array, kernel: jax.Array, first: Any, second: Any, form: _Form
) -> Any:
  fields = _fields(form.activation, form.epsilon)
  stride, axis_name = form.stride, form.axis_name
  batch, height, width, filters = x.shape
  vector = jax.ShapeDtypeStruct((filters,), jnp.float32)
  features = jax.ShapeDtypeStruct(
      (batch, -(-height // stride), -(-width // stride), filters), jnp.float32
  )
  with jax.named_scope('expand_norm'):
    moments = library.call('moments', (vector, vector), x)
    moments = mean_over(tuple(moments), axis_name)
  first = (*moments, *first)
  with jax.named_scope('depthwise'):
    y, *y_moments = library.call(
        'normed_depthwise', (features, vector, vector), x, *first, kernel,
        stride=stride, **fields,
    )
  with jax.named_scope('depthwise_norm'):
    y_moments = mean_over(tuple(y_moments), axis_name)
    second = (*y_moments, *second)
    z = library.call('normalise', features, y, *second, **fields)
  statistics = mean_and_variance(*moments), mean_and_variance(*y_moments)
  return (z, *statistics), (x, kernel, first, y, second)


def _backward(form: _Form, saved: Any, gradients: Any) -> Any:
  x, kernel, first, y, second = saved
  fields = _fields(form.activation, form.epsilon)
  stride, axis_name = form.stride, form.axis_name
  vector = jax.ShapeDtypeStruct(x.shape[-1:], jnp.float32)
  features = jax.ShapeDtypeStruct(x.shape, jnp.float32)
  with jax.named_scope('depthwise_norm'):
    y_bias, y_scale = library.call(
        'normalise_parameter_gradients', (vector, vector),
        y, gradients[0], *second, **fields,
    )
    # The statistics depend on the positions of all devices.
    means = mean_over((y_bias, y_scale), axis_name)
  with jax.named_scope('depthwise'):
    gradient, kernel_gradient, bias, scale = library.call(
        'normed_depthwise_gradients',
        (features, jax.ShapeDtypeStruct(kernel.shape, jnp.float32),
         vector, vector),
        x, *first, kernel, y, gradients[0], *second, *means, stride=stride,
        **fields,
    )
  with jax.named_scope('expand_norm'):
    # The gradient is already that of what is not activated yet.
    x_gradient = library.call(
        'normalise_input_gradient', features, x, gradient, *first,
        *mean_over((bias, scale), axis_name), **_fields('', form.epsilon),
    )
  return x_gradient, kernel_gradient, (scale, bias), (y_scale, y_bias)


_normed_depthwise.defvjp(_forward, _backward)


def _fields(activation: str, epsilon: float) -> dict[str, Any]:
  """Attributes of the kernels."""
  return {
      'activation': IN_KERNEL[activation], 'epsilon': np.float32(epsilon),
  }
