"""The fused block is batch norm, XLA's own convolution and batch norm."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from layernas.models.batch_norm import BatchNorm
from layernas.models.convolutions import depthwise_conv
from layernas.models.normed_depthwise import is_fused
from layernas.models.normed_depthwise import normed_depthwise

_FIELDS = {'momentum': 0.7, 'epsilon': 1e-3}


def _norm(**fields):
  return BatchNorm(
      **{'use_running_average': False, 'compiled': True, **_FIELDS, **fields}
  )


def _arguments(shape, side):
  rng = np.random.default_rng([*shape, side])
  filters = shape[-1]

  def variables():
    draw = lambda: rng.uniform(0.5, 1.5, filters).astype(np.float32)  # noqa: E731
    return {
        'params': {'scale': draw(), 'bias': draw() - 1.0},
        'batch_stats': {'mean': draw(), 'var': draw()},
    }

  x = rng.standard_normal(shape, np.float32) + variables()['params']['bias']
  kernel = rng.standard_normal((side, side, 1, filters), np.float32)
  return x, kernel, variables(), variables()


def _fused(x, kernel, first, second, stride, activation, **fields):
  """As a block calls it: the two norms are submodules, unbound here."""

  class Both(nn.Module):
    @nn.compact
    def __call__(self, x):
      norms = _norm(name='first', **fields), _norm(name='second', **fields)
      assert is_fused(x, norms[0], kernel.shape[0], stride, activation)
      return normed_depthwise(
          x, norms[0], kernel, norms[1], stride, activation
      )

  variables = {
      kind: {'first': first[kind], 'second': second[kind]}
      for kind in ('params', 'batch_stats')
  }
  y, updated = Both().apply(variables, x, mutable=['batch_stats'])
  return y, (updated['batch_stats']['first'], updated['batch_stats']['second'])


def _separate(x, kernel, first, second, stride, activation, **fields):
  norm = _norm(compiled=False, **fields)
  x, first = norm.apply(first, x, activation, mutable=['batch_stats'])
  x = depthwise_conv(x, kernel, stride, 'native')
  x, second = norm.apply(second, x, activation, mutable=['batch_stats'])
  return x, (first['batch_stats'], second['batch_stats'])


def _everything(apply, stride, activation, **fields):
  """Function to outputs, statistics and the gradients of all arguments."""

  def scalar(x, kernel, params, stats):
    first, second = (
        {'params': param, 'batch_stats': stat}
        for param, stat in zip(params, stats, strict=True)
    )
    y, updated = apply(x, kernel, first, second, stride, activation, **fields)
    # Not of mean zero: sums of gradients would be rounding alone.
    weights = 0.5 + jnp.cos(jnp.arange(y.size)).reshape(y.shape)
    return jnp.sum(y * weights), (y, updated)

  def run(x, kernel, first, second):
    return jax.grad(scalar, (0, 1, 2), has_aux=True)(
        x, kernel, (first['params'], second['params']),
        (first['batch_stats'], second['batch_stats']),
    )

  return jax.jit(run)


def _assert_close(got, wanted):
  """Largest difference relative to the largest value of each array."""
  assert jax.tree.structure(got) == jax.tree.structure(wanted)
  for leaves in zip(
      jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True
  ):
    ours, theirs = (np.asarray(leaf, np.float64) for leaf in leaves)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 3e-5 * np.abs(theirs).max()


# Filters: whole vectors, vectors and a part, a part; sides below the kernel's;
# a batch whose images are cut into bands, one of several images a task.
@pytest.mark.parametrize(('shape', 'side', 'stride', 'activation'), [
    ((4, 9, 12, 16), 3, 1, 'relu'),
    ((4, 9, 12, 16), 5, 2, 'hard_swish'),
    ((1, 33, 17, 21), 3, 2, 'hard_swish'),
    ((1, 33, 17, 21), 5, 1, 'relu6'),
    ((3, 4, 3, 3), 5, 2, 'relu'),
    ((3, 4, 3, 3), 7, 1, ''),
    ((35, 2, 1, 9), 3, 2, 'relu6'),
    ((35, 2, 1, 9), 7, 2, 'hard_swish'),
])
def test_is_norm_convolution_norm(shape, side, stride, activation):
  arguments = _arguments(shape, side)
  got = _everything(_fused, stride, activation)(*arguments)
  wanted = _everything(_separate, stride, activation)(*arguments)
  _assert_close(got, wanted)


def test_statistics_and_gradients_over_devices():
  """vmap's axis stands for the devices."""
  x, *others = _arguments((6, 5, 7, 10), 3)
  x = x.reshape(3, 2, *x.shape[1:])

  def on_devices(apply):
    run = _everything(apply, 1, 'hard_swish', axis_name='devices')
    return jax.vmap(
        lambda x: run(x, *others), axis_name='devices'
    )(x)

  _assert_close(on_devices(_fused), on_devices(_separate))


@pytest.mark.parametrize(('fused', 'side', 'stride', 'activation', 'fields'), [
    (True, 3, 1, 'relu', {}),
    (False, 9, 1, 'relu', {}),
    (False, 3, 3, 'relu', {}),
    (False, 3, 1, 'swish', {}),
    (False, 3, 1, 'relu', {'compiled': False}),
    (False, 3, 1, 'relu', {'use_running_average': True}),
    (False, 3, 1, 'relu', {'dtype': jnp.bfloat16}),
])
def test_where_there_is_a_kernel(fused, side, stride, activation, fields):
  x = jnp.ones((1, 4, 4, 2))
  assert is_fused(x, _norm(**fields), side, stride, activation) == fused
