"""1x1 convolution: a product over the filters, gradients too."""

from typing import Any

import flax.linen as nn
import jax


class PointwiseConv(nn.Module):
  """1x1 convolution without bias.

  Attributes:
    filters: of the output.
    dtype: of the computation.
    kernel_init: initial weights.
  """

  filters: int
  dtype: Any
  kernel_init: nn.initializers.Initializer

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (x.shape[-1], self.filters)
    kernel = self.param('kernel', self.kernel_init, shape)
    return pointwise_conv(x.astype(self.dtype), kernel.astype(self.dtype))


@jax.custom_vjp
def pointwise_conv(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
  """Product of the filters of every position with a matrix.

  Args:
    inputs: shape (..., filters).
    kernel: shape (filters, output filters).

  Returns:
    Shape (..., output filters).
  """
  outputs = _rows(inputs) @ kernel
  return outputs.reshape(*inputs.shape[:-1], kernel.shape[1])


def _forward(
    inputs: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  return pointwise_conv(inputs, kernel), (inputs, kernel)


def _backward(
    saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """As matrices: what JAX derives is transposed in memory on CPU."""
  inputs, kernel = saved
  rows = _rows(gradient)
  input_gradient = (rows @ kernel.T).reshape(inputs.shape)
  return input_gradient, _rows(inputs).T @ rows


pointwise_conv.defvjp(_forward, _backward)


def _rows(x: jax.Array) -> jax.Array:
  """All positions in one axis."""
  return x.reshape(-1, x.shape[-1])
