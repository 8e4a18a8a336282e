"""Depthwise and 1x1 convolutions, in the form that is fastest here.

XLA's CPU backend runs a grouped convolution tens of times slower than its
arithmetic takes, backward most of all. There a depthwise convolution is a
kernel of our own where it can be compiled, else it is written as shifted
multiply-adds in both directions; on accelerators it is the native one. A 1x1
convolution is a matrix product over the filters everywhere, gradients too.

The forms round differently: a search that goes on where another form is chosen
(no compiler, another processor) trains as well, but not to the same bits.
"""

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from absl import logging
from jax import lax

from layernas.models.initialization import conv_kernel
from layernas.models.initialization import depthwise_kernel
from layernas.native import library

IMPLEMENTATIONS = ('auto', 'compiled', 'shifted', 'native')

# A part of the keys under which JAX keeps what it traced: a function that was
# traced for a count is not run as it was counted.
_plain = jax.make_user_context(default_value=False)


@contextlib.contextmanager
def in_plain_jax() -> Iterator[None]:
  """Every implementation is 'native' within, so that a trace shows what it is.

  That takes no compiler.
  """
  with _plain(True):
    yield


def resolve(implementation: str = 'auto') -> str:
  """The form that is used on this machine.

  Args:
    implementation: one of `IMPLEMENTATIONS`.

  Returns:
    'compiled', 'shifted' or 'native'. 'auto' is, on CPU, compiled where that
    can be built and shifted elsewhere, which is logged once; native on
    accelerators. Within `in_plain_jax` all are native.

  Raises:
    ValueError: unknown implementation.
    layernas.native.library.BuildError: 'compiled' can't be built.
  """
  if implementation not in IMPLEMENTATIONS:
    raise ValueError(
        f'implementation {implementation!r}: allowed are {IMPLEMENTATIONS}'
    )
  if _plain.value:
    return 'native'
  if implementation == 'compiled':
    library.require()
  if implementation != 'auto':
    return implementation
  return _automatic(jax.default_backend())


@functools.cache
def _automatic(backend: str) -> str:
  if backend != 'cpu':
    return 'native'
  why = library.problem()
  if not why:
    return 'compiled'
  logging.warning('shifted depthwise convolution, not the compiled: %s', why)
  return 'shifted'


def depthwise_conv(
    inputs: jax.Array, kernel: jax.Array, stride: int = 1,
    implementation: str = 'auto',
) -> jax.Array:
  """Depthwise convolution with SAME padding.

  Args:
    inputs: shape (batch, height, width, filters).
    kernel: shape (k, k, 1, filters), as Flax lays out a grouped convolution.
    stride: in both directions.
    implementation: see `resolve`. What 'compiled' does not do is shifted: other
      types than float32, other sides than 3, 5 and 7, other strides than 1 and
      2.

  Returns:
    Shape (batch, ceil(height / stride), ceil(width / stride), filters).

  Raises:
    ValueError: unknown implementation.
    layernas.native.library.BuildError: 'compiled' can't be built.
  """
  implementation = resolve(implementation)
  if implementation == 'native':
    return lax.conv_general_dilated(
        inputs, kernel, (stride, stride), 'SAME',
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        feature_group_count=inputs.shape[-1],
    )
  if implementation == 'compiled' and _is_compiled(inputs, kernel, stride):
    return _compiled(inputs, kernel, stride)
  return _shifted(inputs, kernel, stride)


def has_kernel(side: int, stride: int) -> bool:
  """Whether layernas/native has this convolution of float32 arrays.

  Args:
    side: of the kernel.
    stride: in both directions.
  """
  return side in (3, 5, 7) and stride in (1, 2)


def _is_compiled(inputs: jax.Array, kernel: jax.Array, stride: int) -> bool:
  return (
      inputs.dtype == kernel.dtype == jnp.float32
      and has_kernel(kernel.shape[0], stride) and inputs.size > 0
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _compiled(inputs: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
  """The convolution as layernas/native computes it."""
  batch, height, width, filters = inputs.shape
  outputs = jax.ShapeDtypeStruct(
      (batch, -(-height // stride), -(-width // stride), filters), jnp.float32
  )
  return library.call('depthwise', outputs, inputs, kernel, stride=stride)


def _compiled_forward(
    inputs: jax.Array, kernel: jax.Array, stride: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  return _compiled(inputs, kernel, stride), (inputs, kernel)


def _compiled_backward(
    stride: int, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
  inputs, kernel = saved
  shapes = [
      jax.ShapeDtypeStruct(array.shape, jnp.float32) for array in saved
  ]
  return tuple(library.call(
      'depthwise_gradients', shapes, inputs, gradient, kernel, stride=stride
  ))


_compiled.defvjp(_compiled_forward, _compiled_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _shifted(inputs: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
  """The convolution as shifted multiply-adds."""
  padded, sizes = _pad_same(inputs, kernel.shape[0], stride)
  return _add_taps(padded, kernel, sizes, stride)


def _forward(
    inputs: jax.Array, kernel: jax.Array, stride: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  return _shifted(inputs, kernel, stride), (inputs, kernel)


def _backward(
    stride: int, saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
  inputs, kernel = saved
  return (
      _input_gradient(inputs, kernel, stride, gradient),
      _kernel_gradient(inputs, kernel, stride, gradient),
  )


_shifted.defvjp(_forward, _backward)


def _input_gradient(
    inputs: jax.Array, kernel: jax.Array, stride: int, gradient: jax.Array
) -> jax.Array:
  """The same shift and add on the dilated gradient, kernel flipped."""
  side = kernel.shape[0]
  pads = [(0, 0, 0)]
  for size, out in zip(inputs.shape[1:3], gradient.shape[1:3], strict=True):
    low = side - 1 - _padding(size, side, stride)[0]
    dilated = (out - 1) * stride + 1
    # Negative where the last rows of the input meet no tap.
    pads.append((low, size + side - 1 - low - dilated, stride - 1))
  pads.append((0, 0, 0))
  padded = lax.pad(gradient, jnp.zeros((), gradient.dtype), pads)
  return _add_taps(padded, kernel[::-1, ::-1], inputs.shape[1:3], 1)


def _kernel_gradient(
    inputs: jax.Array, kernel: jax.Array, stride: int, gradient: jax.Array
) -> jax.Array:
  """Per tap the sum of input times gradient over batch and positions.

  Three things keep XLA's CPU backend fast, each measured. Chunks of the batch
  are added one by one, since it materialises the operands of a `sum`; what is
  left is summed by a product with ones; and the rows of the kernel are a loop,
  which compiles in half the time that all taps written out take.
  """
  side = kernel.shape[0]
  padded, sizes = _pad_same(inputs, side, stride)
  batch, _, width, filters = padded.shape
  height = (sizes[0] - 1) * stride + 1
  gradient = gradient.astype(jnp.float32)

  def row_gradient(i: jax.Array) -> jax.Array:
    row = lax.dynamic_slice(
        padded, (0, i, 0, 0), (batch, height, width, filters)
    )
    return jnp.concatenate([
        _sum_positions(_tap(row, 0, j, sizes, stride) * gradient)
        for j in range(side)
    ])

  rows = lax.map(row_gradient, jnp.arange(side))
  return rows[:, :, None].astype(kernel.dtype)


def _sum_positions(products: jax.Array) -> jax.Array:
  """Sums (batch, height, width, filters) to (1, filters)."""
  batch, height, width, filters = products.shape
  size = batch // math.gcd(batch, 8)
  chunks = sum(
      products[start:start + size] for start in range(0, batch, size)
  )
  ones = jnp.ones((1, size * height * width), products.dtype)
  return ones @ chunks.reshape(-1, filters)


def _add_taps(
    padded: jax.Array, kernel: jax.Array, sizes: tuple[int, int], stride: int
) -> jax.Array:
  """Sum over the taps of the shifted input times the tap's weights.

  It runs in float32, as a native convolution's sums do for bfloat16.
  """
  side = kernel.shape[0]
  total = sum(
      _tap(padded, i, j, sizes, stride).astype(jnp.float32) * kernel[i, j]
      for i in range(side) for j in range(side)
  )
  return total.astype(padded.dtype)


def _tap(
    padded: jax.Array, i: int, j: int, sizes: tuple[int, int], stride: int
) -> jax.Array:
  """The window of every output position at tap (i, j)."""
  batch, _, _, filters = padded.shape
  height, width = sizes
  return lax.slice(
      padded,
      (0, i, j, 0),
      (batch, i + (height - 1) * stride + 1, j + (width - 1) * stride + 1,
       filters),
      (1, stride, stride, 1),
  )


def _pad_same(
    inputs: jax.Array, side: int, stride: int
) -> tuple[jax.Array, tuple[int, int]]:
  """Padded inputs and the sides of the output."""
  pads = [_padding(size, side, stride) for size in inputs.shape[1:3]]
  padded = jnp.pad(inputs, [(0, 0), *pads, (0, 0)])
  height, width = (-(-size // stride) for size in inputs.shape[1:3])
  return padded, (height, width)


def _padding(size: int, side: int, stride: int) -> tuple[int, int]:
  """SAME padding as TensorFlow and XLA define it."""
  out = -(-size // stride)
  total = max((out - 1) * stride + side - size, 0)
  return total // 2, total - total // 2


class DepthwiseConv(nn.Module):
  """Depthwise convolution without bias, SAME padding.

  Attributes:
    kernel_size: side of the kernel.
    stride: in both directions.
    dtype: of the computation.
    implementation: of `depthwise_conv`.
  """

  kernel_size: int
  stride: int
  dtype: Any
  implementation: str = 'auto'

  def __call__(self, x: jax.Array) -> jax.Array:
    """Features of the same number of filters."""
    return depthwise_conv(
        x.astype(self.dtype), self.kernel(x.shape[-1]), self.stride,
        self.implementation,
    )

  @nn.compact
  def kernel(self, filters: int) -> jax.Array:
    """The weights, in `dtype`; once in a call of the network.

    Args:
      filters: of the input.
    """
    side = self.kernel_size
    kernel = self.param('kernel', depthwise_kernel(), (side, side, 1, filters))
    return kernel.astype(self.dtype)


class PointwiseConv(nn.Module):
  """1x1 convolution without bias.

  Attributes:
    filters: of the output.
    dtype: of the computation.
  """

  filters: int
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (x.shape[-1], self.filters)
    kernel = self.param('kernel', conv_kernel(), shape)
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


def _pointwise_forward(
    inputs: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  return pointwise_conv(inputs, kernel), (inputs, kernel)


def _pointwise_backward(
    saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """As matrices: what JAX derives is transposed in memory on CPU."""
  inputs, kernel = saved
  rows = _rows(gradient)
  input_gradient = (rows @ kernel.T).reshape(inputs.shape)
  return input_gradient, _rows(inputs).T @ rows


pointwise_conv.defvjp(_pointwise_forward, _pointwise_backward)


def _rows(x: jax.Array) -> jax.Array:
  """All positions in one axis."""
  return x.reshape(-1, x.shape[-1])
