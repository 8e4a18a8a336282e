"""Depthwise convolution, in the form that is fastest on the platform.

XLA's CPU backend runs a grouped convolution tens of times slower than its
arithmetic takes, backward most of all. There the convolution is written as
shifted multiply-adds in both directions; elsewhere it is the native one.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

IMPLEMENTATIONS = ('auto', 'native', 'shifted')


def depthwise_conv(
    inputs: jax.Array, kernel: jax.Array, stride: int = 1,
    implementation: str = 'auto',
) -> jax.Array:
  """Depthwise convolution with SAME padding.

  Args:
    inputs: shape (batch, height, width, filters).
    kernel: shape (k, k, 1, filters), as Flax lays out a grouped convolution.
    stride: in both directions.
    implementation: 'native', 'shifted', or 'auto': shifted on CPU.

  Returns:
    Shape (batch, ceil(height / stride), ceil(width / stride), filters).

  Raises:
    ValueError: unknown implementation.
  """
  if implementation not in IMPLEMENTATIONS:
    raise ValueError(
        f'implementation {implementation!r}: allowed are {IMPLEMENTATIONS}'
    )
  if implementation == 'auto':
    on_cpu = jax.default_backend() == 'cpu'
    implementation = 'shifted' if on_cpu else 'native'
  if implementation == 'shifted':
    return _shifted(inputs, kernel, stride)
  return lax.conv_general_dilated(
      inputs, kernel, (stride, stride), 'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      feature_group_count=inputs.shape[-1],
  )


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
