"""Tests of layernas.training.optimizer."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from layernas.models.initialization import Initialization
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from layernas.training.optimizer import decayed
from layernas.training.optimizer import excluded_kinds
from layernas.training.optimizer import make_optimizer
from layernas.training.programs import create_model
from tests.training import small


def _trace(optimizer, weight, gradients):
  """Values of a 1 x 1 kernel after each step."""
  params = {'kernel': jnp.full((1, 1), weight)}
  state = optimizer.init(params)
  trace = []
  for gradient in gradients:
    updates, state = optimizer.update(
        {'kernel': jnp.full((1, 1), gradient)}, state, params
    )
    params = optax.apply_updates(params, updates)
    trace.append(float(params['kernel'][0, 0]))
  return trace


def test_rmsprop_is_that_of_tensorflow() -> None:
  rates = (0.1, 0.3, 0.05)
  gradients = (2.0, -1.0, 0.5)
  config = small.get_config(
      optimizer='rmsprop', momentum=0.5, rms_decay=0.75, rms_epsilon=0.25,
      weight_decay=0.0,
  ).training
  optimizer = make_optimizer(config, lambda step: jnp.array(rates)[step])
  # Averages of the squared gradient, from one:
  # 0.75 * 1 + 0.25 * 4 = 1.75; 0.75 * 1.75 + 0.25 = 1.5625;
  # 0.75 * 1.5625 + 0.25 * 0.25 = 1.234375. Epsilon is added to each.
  first = 0.1 * 2.0 / math.sqrt(2.0)
  second = 0.5 * first - 0.3 / math.sqrt(1.8125)
  third = 0.5 * second + 0.05 * 0.5 / math.sqrt(1.484375)
  expected = np.cumsum([1.0, -first, -second, -third])[1:]
  np.testing.assert_allclose(
      _trace(optimizer, 1.0, gradients), expected, rtol=1e-6
  )


def test_sgd_looks_ahead_along_its_momentum() -> None:
  config = small.get_config(
      optimizer='sgd', momentum=0.5, weight_decay=0.0
  ).training
  optimizer = make_optimizer(config, lambda step: 0.1)
  # Velocities 2 and 0.5 * 2 - 1 = 0; steps g + 0.5 v: 3 and -1.
  np.testing.assert_allclose(
      _trace(optimizer, 1.0, (2.0, -1.0)), [0.7, 0.8], rtol=1e-6
  )


@pytest.mark.parametrize(
    ('name', 'step'),
    # Without momentum; the gradient is 0.5 * 4 = 2. RMSProp: 2 / sqrt(2).
    [('sgd', 2.0), ('rmsprop', math.sqrt(2.0))],
)
def test_decay_is_the_gradient_of_half_the_squared_norm(
    name: str, step: float
) -> None:
  config = small.get_config(
      optimizer=name, momentum=0.0, weight_decay=0.5, rms_decay=0.75,
      rms_epsilon=0.25,
  ).training
  optimizer = make_optimizer(config, lambda step: 0.1)
  np.testing.assert_allclose(
      _trace(optimizer, 4.0, (0.0,)), [4.0 - 0.1 * step], rtol=1e-6
  )


@pytest.mark.parametrize(('excludes', 'stay'), [
    ('', ()),
    # MobileNetV3: all but batch norm.
    ('batch_norm', ('norm',)),
    ('batch_norm,bias', ('norm', 'bias')),
    # TuNAS: depthwise included, classifier excluded.
    ('batch_norm, bias, classifier', ('norm', 'bias', 'classifier')),
    ('depthwise', ('depthwise/kernel',)),
])
def test_what_decays(excludes: str, stay: tuple[str, ...]) -> None:
  network = NetworkSpec(
      Stem(8), (InvertedResidual(8, 16, squeeze=Squeeze()),), Head(16, 8)
  )
  model = create_model(small.get_config(), network, small.CLASSES)
  initialization = Initialization(model, small.SIDE)
  leaves = jax.tree_util.tree_leaves_with_path(decayed(
      initialization.shapes['params'], excluded_kinds(excludes),
      initialization.kinds,
  ))
  names = [
      ('/'.join(key.key for key in path), decays) for path, decays in leaves
  ]
  assert len(names) == 23
  for name, decays in names:
    expected = not any(part in name for part in stay)
    assert decays == expected, name


def test_undeclared_parameters_are_kernels_or_biases() -> None:
  params = {'kernel': np.ones((2, 3)), 'norm': {'scale': np.ones(3)}}
  assert decayed(params, frozenset({'bias'})) == {
      'kernel': True, 'norm': {'scale': False}
  }


def test_no_gradient_leaves_scales_and_biases() -> None:
  config = small.get_config(momentum=0.0, weight_decay=0.5).training
  optimizer = make_optimizer(config, lambda step: 0.1)
  params = {
      'kernel': jnp.ones((2, 3)), 'scale': jnp.ones(3), 'bias': jnp.ones(3)
  }
  updates, _ = optimizer.update(
      jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params
  )
  np.testing.assert_allclose(updates['kernel'], np.full((2, 3), -0.05))
  assert not updates['scale'].any()
  assert not updates['bias'].any()
