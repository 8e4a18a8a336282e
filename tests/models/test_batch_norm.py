"""Batch norm with its activation does what Flax's and the activation do."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from layernas.models.batch_norm import ACTIVATIONS
from layernas.models.batch_norm import GATES
from layernas.models.batch_norm import BatchNorm
from layernas.models.batch_norm import hard_sigmoid
from layernas.models.batch_norm import hard_swish
from layernas.networks import spec as spec_lib

_FIELDS = {'momentum': 0.7, 'epsilon': 1e-3}


def _inputs(shape, dtype=jnp.float32):
  rng = np.random.default_rng(list(shape))
  x = 3.0 * rng.standard_normal(shape) + rng.standard_normal(shape[-1])
  return jnp.asarray(x, dtype)


def _variables(filters):
  rng = np.random.default_rng(filters)

  def draw(low, high):
    return jnp.asarray(rng.uniform(low, high, filters), jnp.float32)

  return {
      'params': {'scale': draw(0.5, 2.0), 'bias': draw(-1.0, 1.0)},
      'batch_stats': {'mean': draw(-1.0, 1.0), 'var': draw(0.5, 2.0)},
  }


def _ours(activation, compiled, train, **fields):
  model = BatchNorm(not train, compiled=compiled, **_FIELDS, **fields)
  return lambda variables, x: model.apply(
      variables, x, activation, mutable=['batch_stats']
  )


def _flax(activation, train, **fields):
  model = nn.BatchNorm(not train, **_FIELDS, **fields)

  def apply(variables, x):
    y, updated = model.apply(variables, x, mutable=['batch_stats'])
    return ACTIVATIONS[activation](y), updated

  return apply


def _everything(apply, variables, x):
  """Outputs, new statistics, and gradients of parameters and features."""

  def scalar(params, x):
    y, updated = apply({**variables, 'params': params}, x)
    # Not of mean zero: sums of gradients would be rounding alone.
    weights = 0.5 + jnp.cos(jnp.arange(y.size)).reshape(y.shape)
    return jnp.sum(y * weights), (y, updated)

  gradients, (y, updated) = jax.grad(scalar, (0, 1), has_aux=True)(
      variables['params'], x
  )
  return {'y': y, 'updated': updated, 'gradients': gradients}


def _assert_close(got, wanted, tolerance=1e-5):
  """Largest difference relative to the largest value of each array."""
  assert jax.tree.structure(got) == jax.tree.structure(wanted)
  for leaves in zip(
      jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True
  ):
    ours, theirs = (np.asarray(leaf, np.float64) for leaf in leaves)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


_SHAPES = [(8, 7, 7, 24), (1, 3, 2, 5), (64, 16, 16, 9), (2, 2, 2, 1000)]


@pytest.mark.parametrize(
    ('train', 'compiled'), [(True, True), (True, False), (False, False)]
)
@pytest.mark.parametrize(('shape', 'activation'), [
    *((_SHAPES[0], activation) for activation in ACTIVATIONS),
    (_SHAPES[1], 'hard_swish'),
    *(pytest.param(shape, 'hard_swish', marks=pytest.mark.long)
      for shape in _SHAPES[2:]),
])
def test_is_flax_and_the_activation(shape, compiled, train, activation):
  x, variables = _inputs(shape), _variables(shape[-1])
  got = jax.jit(functools.partial(
      _everything, _ours(activation, compiled, train)
  ))(variables, x)
  wanted = jax.jit(functools.partial(
      _everything, _flax(activation, train)
  ))(variables, x)
  _assert_close(got, wanted)


# In kernels over devices, fast: test_normed_depthwise.
@pytest.mark.long
@pytest.mark.parametrize('compiled', [True, False])
def test_statistics_over_devices_are_those_of_the_whole_batch(compiled):
  """With gradients: vmap's axis stands for the devices."""
  x, variables = _inputs((4, 2, 5, 5, 7)), _variables(7)

  def on_devices(apply):
    everything = functools.partial(_everything, apply, variables)
    return jax.vmap(everything, axis_name='devices')(x)

  ours = on_devices(_ours('hard_swish', compiled, True, axis_name='devices'))
  _assert_close(
      ours, on_devices(_flax('hard_swish', True, axis_name='devices'))
  )
  whole = _flax('hard_swish', True)(variables, x.reshape(8, 5, 5, 7))[1]
  _assert_close(jax.tree.map(lambda leaf: leaf[0], ours['updated']), whole)


@pytest.mark.parametrize('compiled', [True, False])
def test_bfloat16_has_float32_statistics(compiled):
  x, variables = _inputs((4, 6, 6, 8), jnp.bfloat16), _variables(8)
  apply = _ours('hard_swish', compiled, True, dtype=jnp.bfloat16)
  theirs = _flax('hard_swish', True, dtype=jnp.bfloat16)
  y, updated = apply(variables, x)
  wanted, wanted_updated = theirs(variables, x)
  assert y.dtype == jnp.bfloat16
  _assert_close(y, wanted, 2**-7)
  _assert_close(updated, wanted_updated)


@pytest.mark.parametrize('compiled', [True, False])
def test_constant_features_stay_finite(compiled):
  x = jnp.full((2, 3, 3, 4), 1e4)
  result = _everything(_ours('relu', compiled, True), _variables(4), x)
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result))


@pytest.mark.parametrize('compiled', [True, False])
def test_variables_are_named_as_flax_names_them(compiled):
  shape = jax.ShapeDtypeStruct((2, 3, 3, 6), jnp.float32)

  def init(model):
    return nn.meta.unbox(
        jax.eval_shape(lambda x: model.init(jax.random.key(0), x), shape)
    )

  ours = init(BatchNorm(False, compiled=compiled, axis_name='d', **_FIELDS))
  assert ours == init(nn.BatchNorm(False, axis_name='d', **_FIELDS))


@pytest.mark.parametrize(('x', 'gate', 'activation'), [
    (-4.0, 0.0, 0.0), (-3.0, 0.0, 0.0), (0.0, 0.5, 0.0),
    (1.5, 0.75, 1.125), (3.0, 1.0, 3.0), (9.0, 1.0, 9.0),
])
def test_hard_sigmoid_and_hard_swish(
    x: float, gate: float, activation: float
) -> None:
  assert hard_sigmoid(jnp.float32(x)) == pytest.approx(gate)
  assert hard_swish(jnp.float32(x)) == pytest.approx(activation)


def test_every_name_of_a_spec_has_its_function() -> None:
  assert set(ACTIVATIONS) == {'', *spec_lib.ACTIVATIONS}
  assert set(GATES) == set(spec_lib.GATES)
