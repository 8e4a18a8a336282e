"""Tests of layernas.models.initialization."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from layernas.models.initialization import initial_variables
from layernas.models.network import Network
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem

_SPEC = NetworkSpec(
    Stem(32),
    (InvertedResidual(48, 96, 7, squeeze=Squeeze()), InvertedResidual(48, 128, 5, 2)),
    Head(256, 64),
)


def _variables(spec=_SPEC, seed=0, num_classes=100):
  model = Network(spec, num_classes)
  return initial_variables(model, 16, seed)


def _leaves(variables):
  """Leaves by names such as 'params/block0/expand/kernel'."""
  return {
      jax.tree_util.keystr(path, simple=True, separator='/'): leaf
      for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
  }


def test_shapes_are_those_of_flax():
  model = Network(_SPEC, 100)
  shapes = jax.eval_shape(
      lambda: model.init(
          jax.random.key(0), np.zeros((1, 16, 16, 3), np.float32), train=False
      )
  )
  got, wanted = _leaves(_variables()), _leaves(shapes)
  assert {name: leaf.shape for name, leaf in got.items()} == {
      name: leaf.shape for name, leaf in wanted.items()
  }


def test_leaves_are_float32_on_the_host():
  variables = _variables()
  assert set(variables) == {'params', 'batch_stats'}
  for leaf in _leaves(variables).values():
    assert isinstance(leaf, np.ndarray)
    assert leaf.dtype == np.float32


def test_network_is_neither_run_nor_compiled(caplog):
  with jax.log_compiles():
    _variables()
  assert 'XLA compilation' not in caplog.text
  with jax.log_compiles():
    jax.jit(lambda x: x + 1)(np.ones(3))
  assert 'XLA compilation' in caplog.text  # what the first half looks for


def test_same_seed_same_values_other_seed_others():
  first, again, other = _variables(), _variables(), _variables(seed=1)
  for name, leaf in _leaves(first).items():
    assert np.array_equal(leaf, _leaves(again)[name])
    if name.endswith('kernel'):
      assert not np.array_equal(leaf, _leaves(other)[name])


def test_no_two_kernels_share_numbers():
  spec = dataclasses.replace(_SPEC, blocks=(InvertedResidual(32, 64), InvertedResidual(32, 64)))
  params = _variables(spec)['params']
  assert not np.array_equal(
      params['block0']['expand']['kernel'], params['block1']['expand']['kernel']
  )


def test_shared_leaves_of_two_networks_start_equal():
  first, second = _SPEC.blocks
  other = dataclasses.replace(
      _SPEC,
      blocks=(
          dataclasses.replace(first, kernel=3), second, InvertedResidual(48, 96),
      ),
  )
  before, after = _leaves(_variables()), _leaves(_variables(other))
  shared = {
      name for name in before
      if name in after and before[name].shape == after[name].shape
  }
  assert set(before) - shared == {'params/block0/depthwise/kernel'}
  for name in shared:
    assert np.array_equal(before[name], after[name])


@pytest.mark.parametrize(
    ('leaf', 'value'),
    [('scale', 1.0), ('bias', 0.0), ('mean', 0.0), ('var', 1.0)],
)
def test_constants(leaf, value):
  found = [
      values for name, values in _leaves(_variables()).items()
      if name.rsplit('/', 1)[1] == leaf
  ]
  assert found
  assert all((values == value).all() for values in found)


# By hand: sqrt(2 / fan out) of convolutions, where a depthwise filter's fan out
# is its taps; sqrt(1 / fan in) of dense layers.
_DEVIATIONS = {
    'stem': math.sqrt(2 / (9 * 32)),
    'block0/expand': math.sqrt(2 / 96),
    'block0/depthwise': math.sqrt(2 / 49),
    'block0/squeeze/reduce': math.sqrt(1 / 96),
    'block0/squeeze/gate': math.sqrt(1 / 24),
    'block0/project': math.sqrt(2 / 48),
    'block1/expand': math.sqrt(2 / 128),
    'block1/depthwise': math.sqrt(2 / 25),
    'block1/project': math.sqrt(2 / 48),
    'head': math.sqrt(2 / 256),
    'hidden': math.sqrt(1 / 256),
    'classifier': math.sqrt(1 / 64),
}


def test_every_kernel_has_a_deviation():
  assert {f'params/{name}/kernel' for name in _DEVIATIONS} == {
      name for name in _leaves(_variables()) if name.endswith('kernel')
  }


@pytest.mark.parametrize(('name', 'deviation'), _DEVIATIONS.items())
def test_deviation(name, deviation):
  kernel = _leaves(_variables())[f'params/{name}/kernel']
  # Five standard errors of an estimate from so many normal draws.
  bound = 5 / math.sqrt(2 * kernel.size)
  assert np.std(kernel) == pytest.approx(deviation, rel=bound)
  assert abs(np.mean(kernel)) < 5 * deviation / math.sqrt(kernel.size)
