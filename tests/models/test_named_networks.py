"""Published networks and random ones of each space, against Flax."""

import functools
import random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from layernas.models.initialization import initial_variables
from layernas.models.network import Network
from layernas.models.network import create_module
from layernas.networks.counting import Counts
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.space import NetworkSpace
from layernas.networks.space import network_modules
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem
from layernas.networks.spec import count
from tests.models.flax_counts import flax_counts
from tests.models.flax_counts import traced_counts

_SAMPLES = 200
_SIDE = 32


@pytest.mark.parametrize('name', REFERENCE_NETWORKS)
def test_counter_is_flax_on_named_networks(name: str) -> None:
  network = REFERENCE_NETWORKS[name]
  assert count(network, 224, 1000) == flax_counts(network, 224, 1000)


@pytest.mark.parametrize('name', [
    'mobilenet_v3_small', 'mobilenet_v3_large', 'mobilenet_v2',
    'mobilenet_v2_1.4', 'mobilenet_v3_large_no_se',
])
def test_counter_is_flax_on_random_networks_of(name: str) -> None:
  """200 networks module by module, a few as a whole.

  Each module is a Flax trace of its own, made once for all networks that have
  it where it receives the same.
  """
  counts_of = functools.cache(_module_counts)
  networks = _random_networks(SPACES[name]())
  for network in networks:
    modules = network_modules(network, 224, 1000)
    counts = [
        counts_of(placed.module, placed.size, placed.input_filters)
        for placed in modules
    ]
    assert count(network, 224, 1000) == sum(counts, Counts())
  for network in networks[:4]:
    assert count(network, 224, 1000) == flax_counts(network, 224, 1000)


def _random_networks(space: NetworkSpace) -> list[NetworkSpec]:
  """Networks of the space, from a few random options of every layer.

  Every network is equally likely to be drawn, but modules come again.
  """
  rng = random.Random(0)
  few = [
      rng.sample(range(options), min(options, 2 if options < 10 else 8))
      for options in space.search_space.option_counts
  ]
  chosen = {tuple(map(rng.choice, few)) for _ in range(_SAMPLES)}
  assert len(chosen) == _SAMPLES
  return [space.network(architecture) for architecture in chosen]


def _module_counts(
    module: Stem | InvertedResidual | Head, size: int, filters: int
) -> Counts:
  model = create_module(module, num_classes=1000, depthwise='native')
  return traced_counts(model, size, filters)


@pytest.mark.parametrize('name', REFERENCE_NETWORKS)
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_logits_are_float32(name: str, dtype: Any) -> None:
  model = _model(REFERENCE_NETWORKS[name], dtype)
  images = jax.ShapeDtypeStruct((2, _SIDE, _SIDE, 3), dtype)
  logits, variables = jax.eval_shape(
      lambda images: model.init_with_output(
          jax.random.key(0), images, train=False
      ), images,
  )
  assert (logits.shape, logits.dtype) == ((2, 1000), jnp.float32)
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {
      np.dtype(np.float32)
  }


# The others have the same blocks in other widths.
@pytest.mark.parametrize('name', [
    'mobilenet_v2', 'mobilenet_v3_small', 'mnasnet_a1'
])
def test_bfloat16_gives_about_the_logits_of_float32(name: str) -> None:
  network = REFERENCE_NETWORKS[name]
  variables = initial_variables(_model(network, jnp.float32), _SIDE, 0)
  images = np.random.default_rng(0).standard_normal(
      (2, _SIDE, _SIDE, 3), np.float32
  )

  def forward(variables: Any, images: Any) -> list[jax.Array]:
    return [
        _model(network, dtype).apply(variables, images, train=False)
        for dtype in (jnp.float32, jnp.bfloat16)
    ]

  # Compiling takes longest; without optimisation it is shorter.
  exact, rounded = jax.jit(forward).lower(variables, images).compile(
      compiler_options={'xla_backend_optimization_level': 0}
  )(variables, images)
  for logits in (exact, rounded):
    assert logits.shape == (2, 1000)
    assert logits.dtype == jnp.float32
    assert np.isfinite(logits).all()
  assert 0 < np.abs(rounded - exact).max() < 0.1 * np.abs(exact).max()


def _model(network: Any, dtype: Any) -> Network:
  return Network(network, 1000, dtype=dtype)
