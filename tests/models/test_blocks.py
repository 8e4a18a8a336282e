"""The block's parts by hand-computed values."""

import jax
import jax.numpy as jnp
import numpy as np

from layernas.models import blocks
from layernas.networks.spec import Squeeze


def test_squeeze_excite_scales_by_a_gate_of_the_means() -> None:
  module = blocks.SqueezeExcite(Squeeze(gate='sigmoid'), 1, jnp.float32)
  x = jnp.arange(8, dtype=jnp.float32).reshape(1, 2, 2, 2)
  params = {
      'reduce': {'kernel': jnp.array([[1.0], [0.0]]), 'bias': jnp.zeros(1)},
      'gate': {'kernel': jnp.array([[1.0, -1.0]]), 'bias': jnp.zeros(2)},
  }
  # The first filter's mean is 3: the gates are sigmoid(3) and sigmoid(-3).
  gates = jax.nn.sigmoid(jnp.array([3.0, -3.0]))
  scaled = module.apply({'params': params}, x)
  np.testing.assert_allclose(scaled, x * gates, rtol=1e-6)


def test_depthwise_module_convolves_each_filter_alone() -> None:
  module = blocks.DepthwiseConv(3, 1, jnp.float32)
  kernel = jnp.zeros((3, 3, 1, 2)).at[1, 1, 0].set(jnp.array([2.0, -1.0]))
  x = jnp.arange(18, dtype=jnp.float32).reshape(1, 3, 3, 2)
  y = module.apply({'params': {'kernel': kernel}}, x)
  np.testing.assert_allclose(y, x * jnp.array([2.0, -1.0]))
