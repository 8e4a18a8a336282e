"""A 1x1 convolution and its gradients are those of Flax's dense layer."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from layernas.models.convolutions import PointwiseConv


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
@pytest.mark.parametrize('shape', [(4, 5, 3, 7), (1, 1, 1, 2), (2, 9)])
def test_is_a_dense_layer(shape, dtype, tolerance):
  rng = np.random.default_rng(0)
  draw = lambda *shape: rng.standard_normal(shape, np.float32)  # noqa: E731
  variables = {'params': {'kernel': draw(shape[-1], 6)}}
  x = jnp.asarray(draw(*shape))
  init = nn.initializers.zeros_init()
  got = _everything(PointwiseConv(6, dtype, init), variables, x)
  wanted = _everything(
      nn.Dense(6, use_bias=False, dtype=dtype), variables, x
  )
  assert jax.tree.structure(got) == jax.tree.structure(wanted)
  for leaves in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
    assert leaves[0].dtype == leaves[1].dtype
    ours, theirs = (np.asarray(leaf, np.float64) for leaf in leaves)
    assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()
