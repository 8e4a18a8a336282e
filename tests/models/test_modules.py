"""Stem, blocks and head alone do what they do inside a network."""

import jax
import numpy as np
import pytest

from layernas.models.initialization import initial_variables
from layernas.models.network import Network
from layernas.models.network import create_module
from layernas.networks.space import network_modules
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem

_NETWORKS = [
    NetworkSpec(
        Stem(8, activation='hard_swish'),
        (InvertedResidual(8, 0), InvertedResidual(8, 16, squeeze=Squeeze()), InvertedResidual(12, 24, 5, 2)),
        Head(16, hidden=12),
    ),
    NetworkSpec(Stem(4, stride=1), (InvertedResidual(4, 8),), Head(0)),
]


def _own_variables(variables, index: int, last: int):
  """Those of one module, a block's under the name that it has alone."""
  blocks = {f'block{i}' for i in range(last)}
  if 1 <= index < last:
    return {
        kind: {'block0': tree[f'block{index - 1}']}
        for kind, tree in variables.items()
    }
  return {
      kind: {name: tree[name] for name in tree if name not in blocks}
      for kind, tree in variables.items()
  }


def _apply(model, variables, x):
  return jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, x)


@pytest.mark.parametrize(
    ('network', 'epsilon'), [(_NETWORKS[0], 0.5), (_NETWORKS[1], 1e-3)]
)
def test_modules_in_a_row_are_the_network(
    network: NetworkSpec, epsilon: float
) -> None:
  settings = {'num_classes': 5, 'batch_norm_epsilon': epsilon}
  whole = Network(network, **settings)
  variables = initial_variables(whole, 9, seed=1)
  images = np.random.default_rng(0).standard_normal((2, 9, 9, 3), np.float32)
  placed = network_modules(network, 9, 5)
  x = images
  for index, module in enumerate(placed):
    assert x.shape == (2, module.size, module.size, module.input_filters)
    alone = create_module(module.module, **settings)
    own = _own_variables(variables, index, len(placed) - 1)
    x = _apply(alone, own, x)
  logits = _apply(whole, variables, images)
  np.testing.assert_allclose(x, logits, rtol=1e-5, atol=1e-5)
  assert np.ptp(logits) > 0.01
