"""Every form of a convolution computes what defines it, with gradients."""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from layernas.models import convolutions
from layernas.models.convolutions import PointwiseConv
from layernas.models.convolutions import depthwise_conv
from layernas.native import library


def _arrays(batch, height, width, filters, kernel, dtype=jnp.float32):
  rng = np.random.default_rng([batch, height, width, filters, kernel])
  return (
      jnp.asarray(rng.standard_normal((batch, height, width, filters)), dtype),
      jnp.asarray(rng.standard_normal((kernel, kernel, 1, filters)), dtype),
  )


@functools.partial(jax.jit, static_argnums=(2, 3))
def _outputs_and_gradients(inputs, kernel, stride, implementation):
  """Outputs, and gradients for a cotangent that differs everywhere."""
  outputs, pullback = jax.vjp(
      lambda inputs, kernel: depthwise_conv(
          inputs, kernel, stride, implementation
      ),
      inputs, kernel,
  )
  cotangent = jnp.cos(jnp.arange(outputs.size)).reshape(outputs.shape)
  return outputs, *pullback(cotangent.astype(outputs.dtype))


def _assert_close(got, wanted, tolerance):
  """Largest difference relative to the largest value."""
  assert got.shape == wanted.shape
  assert got.dtype == wanted.dtype
  got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
  assert np.abs(got - wanted).max() <= tolerance * np.abs(wanted).max()


def _by_hand(inputs, kernel, stride):
  """The sum that defines a SAME-padded depthwise convolution."""
  inputs, kernel = np.asarray(inputs), np.asarray(kernel)
  batch, *sizes, filters = inputs.shape
  side = kernel.shape[0]
  outs = [len(range(0, size, stride)) for size in sizes]
  lows = [
      max((out - 1) * stride + side - size, 0) // 2
      for out, size in zip(outs, sizes, strict=True)
  ]
  result = np.zeros((batch, *outs, filters))
  for y, x, i, j in itertools.product(
      range(outs[0]), range(outs[1]), range(side), range(side)
  ):
    row, column = y * stride + i - lows[0], x * stride + j - lows[1]
    if 0 <= row < sizes[0] and 0 <= column < sizes[1]:
      result[:, y, x] += inputs[:, row, column] * kernel[i, j, 0]
  return result


@pytest.mark.parametrize('implementation', ['native', 'shifted', 'compiled'])
@pytest.mark.parametrize(('kernel', 'stride'), [(3, 1), (3, 2), (5, 2)])
def test_is_the_defining_sum(kernel, stride, implementation):
  inputs, weights = _arrays(2, 6, 7, 3, kernel)
  outputs = depthwise_conv(inputs, weights, stride, implementation)
  np.testing.assert_allclose(
      outputs, _by_hand(inputs, weights, stride), rtol=1e-5, atol=1e-5
  )


def _assert_is_native(implementation, shape, kernel, stride):
  inputs, weights = _arrays(*shape, kernel)
  got = _outputs_and_gradients(inputs, weights, stride, implementation)
  wanted = _outputs_and_gradients(inputs, weights, stride, 'native')
  for ours, theirs in zip(got, wanted, strict=True):
    _assert_close(ours, theirs, 1e-5)


# Batches that are and are not multiples of 8; sides below the kernel's. A
# kernel below the stride skips pixels, which then have no gradient.
@pytest.mark.parametrize(('kernel', 'stride', 'shape'), [
    (3, 1, (16, 8, 8, 5)), (3, 2, (6, 9, 12, 5)), (5, 1, (5, 4, 3, 5)),
    (5, 2, (16, 8, 8, 5)), (7, 1, (6, 9, 12, 5)), (7, 2, (5, 4, 3, 5)),
    (1, 1, (3, 9, 9, 2)), (3, 4, (3, 2, 2, 2)),
    *(pytest.param(*case, marks=pytest.mark.long) for case in (
        (1, 2, (3, 12, 12, 2)), (3, 4, (3, 9, 9, 2)), (1, 2, (3, 1, 1, 2)),
    )),
])
def test_shifted_is_native(kernel, stride, shape):
  _assert_is_native('shifted', shape, kernel, stride)


# Filters: vectors of eight, a part of one, some and a part.
_SHAPES = [
    (16, 8, 8, 16), (3, 9, 12, 21), (1, 4, 3, 3), (1, 33, 17, 8), (35, 2, 1, 9)
]


@pytest.mark.parametrize(('kernel', 'stride', 'shape'), [
    *((kernel, stride, _SHAPES[1])
      for kernel in (3, 5, 7) for stride in (1, 2)),
    *((3, 2, shape) for shape in _SHAPES[2:]),
    *(pytest.param(*case, marks=pytest.mark.long) for case in (
        *((kernel, stride, _SHAPES[0])
          for kernel in (3, 5, 7) for stride in (1, 2)),
        *((7, 1, shape) for shape in _SHAPES[2:]),
    )),
])
def test_compiled_is_native(kernel, stride, shape):
  _assert_is_native('compiled', shape, kernel, stride)


@pytest.mark.parametrize(('kernel', 'stride', 'dtype'), [
    (1, 1, jnp.float32), (9, 1, jnp.float32), (3, 3, jnp.float32),
    (3, 1, jnp.bfloat16),
])
def test_compiled_leaves_the_rest_to_shifted(kernel, stride, dtype):
  inputs, weights = _arrays(2, 9, 9, 4, kernel, dtype)
  got = _outputs_and_gradients(inputs, weights, stride, 'compiled')
  wanted = _outputs_and_gradients(inputs, weights, stride, 'shifted')
  for ours, theirs in zip(got, wanted, strict=True):
    np.testing.assert_array_equal(ours, theirs)


def test_compiled_under_vmap_of_inputs_and_of_kernels():
  inputs, weights = _arrays(6, 5, 5, 9, 3)
  inputs = inputs.reshape(3, 2, 5, 5, 9)
  kernels = jnp.stack([weights, 2 * weights, weights[::-1]])
  mapped = jax.vmap(lambda x, w: _outputs_and_gradients(x, w, 1, 'compiled'))
  got = mapped(inputs, kernels)
  for index in range(3):
    wanted = _outputs_and_gradients(
        inputs[index], kernels[index], 1, 'compiled'
    )
    for ours, theirs in zip(got, wanted, strict=True):
      np.testing.assert_array_equal(ours[index], theirs)


@pytest.mark.parametrize(('kernel', 'stride'), [(3, 1), (5, 2)])
def test_bfloat16_sums_in_float32(kernel, stride):
  inputs, weights = _arrays(8, 8, 8, 4, kernel, jnp.bfloat16)
  got = _outputs_and_gradients(inputs, weights, stride, 'shifted')
  wanted = _outputs_and_gradients(
      inputs.astype(jnp.float32), weights.astype(jnp.float32), stride, 'native'
  )
  for ours, theirs in zip(got, wanted, strict=True):
    assert ours.dtype == jnp.bfloat16
    # 8 bits of mantissa: half a unit in the last place is 2 ** -9; the
    # cotangents that come in are rounded as well.
    _assert_close(ours, theirs.astype(jnp.bfloat16), 2**-7)


def test_runs_in_pmap():
  inputs, weights = _arrays(2, 6, 6, 3, 3)
  outputs = jax.pmap(depthwise_conv)(inputs[None], weights[None])
  _assert_close(outputs[0], depthwise_conv(inputs, weights), 1e-6)


def _primitives(implementation):
  inputs, weights = _arrays(1, 4, 4, 2, 3)
  return str(
      jax.make_jaxpr(
          lambda *arrays: depthwise_conv(*arrays, 1, implementation)
      )(inputs, weights)
  )


@pytest.mark.parametrize(('backend', 'problem', 'form'), [
    ('cpu', '', 'compiled'), ('cpu', 'no compiler', 'shifted'),
    ('gpu', '', 'native'), ('tpu', '', 'native'),
])
def test_auto_is_the_fastest_that_there_is(
    monkeypatch, caplog, backend, problem, form
):
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)
  monkeypatch.setattr(library, 'problem', lambda: problem)
  convolutions._automatic.cache_clear()
  with caplog.at_level('WARNING', 'absl'):
    assert convolutions.resolve('auto') == form
    assert _primitives('auto') == _primitives(form)
  convolutions._automatic.cache_clear()
  # Said once, and only where something is missing.
  assert caplog.messages == [
      'shifted depthwise convolution, not the compiled: no compiler'
  ] * bool(problem)


def test_implementation_can_be_forced():
  assert 'conv_general_dilated' in _primitives('native')
  assert 'ffi_call' in _primitives('compiled')
  shifted = _primitives('shifted')
  assert 'conv_general_dilated' not in shifted
  assert 'ffi_call' not in shifted


def test_unknown_implementation():
  with pytest.raises(ValueError, match=r"'fast': allowed are \('auto'"):
    depthwise_conv(*_arrays(1, 4, 4, 2, 3), implementation='fast')


def _everything(model, variables, x):
  """Outputs, and gradients of kernel and features."""

  def scalar(variables, x):
    y = model.apply(variables, x)
    weights = jnp.cos(jnp.arange(y.size)).reshape(y.shape)
    return jnp.sum(y * weights.astype(y.dtype)), y

  return jax.grad(scalar, (0, 1), has_aux=True)(variables, x)


# Rounded to bfloat16 in both; sums may round in another order.
@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(jnp.float32, 1e-5), (jnp.bfloat16, 2**-6)]
)
@pytest.mark.parametrize('shape', [
    (4, 5, 3, 7), *(pytest.param(shape, marks=pytest.mark.long)
                    for shape in ((1, 1, 1, 2), (2, 9))),
])
def test_is_a_dense_layer(shape, dtype, tolerance):
  rng = np.random.default_rng(0)
  draw = lambda *shape: rng.standard_normal(shape, np.float32)  # noqa: E731
  variables = {'params': {'kernel': draw(shape[-1], 6)}}
  x = jnp.asarray(draw(*shape))
  got = _everything(PointwiseConv(6, dtype), variables, x)
  wanted = _everything(
      nn.Dense(6, use_bias=False, dtype=dtype), variables, x
  )
  assert jax.tree.structure(got) == jax.tree.structure(wanted)
  for leaves in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
    assert leaves[0].dtype == leaves[1].dtype
    ours, theirs = (np.asarray(leaf, np.float64) for leaf in leaves)
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()
