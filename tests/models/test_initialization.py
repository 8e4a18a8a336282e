"""Initial values and kinds of parameters, as their modules declare them."""

import dataclasses
import functools
import hashlib
import itertools
import math

import flax.linen as nn
import jax
import numpy as np
import pytest

from layernas.models.blocks import BlockModule
from layernas.models.initialization import PARAMETER_KINDS
from layernas.models.initialization import Beginning
from layernas.models.initialization import Initialization
from layernas.models.initialization import initial_variables
from layernas.models.network import Network
from layernas.networks.counting import Counts
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.reference import mobilenet_v3_small
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import ModuleInput
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem

_SPEC = NetworkSpec(
    Stem(32),
    (
        InvertedResidual(48, 96, 7, squeeze=Squeeze()),
        InvertedResidual(48, 128, 5, 2),
    ),
    Head(256, 64),
)


def _variables(spec=_SPEC, seed=0):
  return initial_variables(Network(spec, 100), 16, seed)


def _leaves(tree):
  """Leaves by names such as 'params/block0/expand/kernel'."""
  return {
      jax.tree_util.keystr(path, simple=True, separator='/'): leaf
      for path, leaf in jax.tree_util.tree_leaves_with_path(
          tree, is_leaf=lambda leaf: isinstance(leaf, frozenset)
      )
  }


def _init(model, side):
  """What Flax's own init gives."""
  images = np.zeros((1, side, side, 3), np.float32)
  init = jax.jit(lambda key: model.init(key, images, train=False))
  # Compiling takes longest; without optimisation it is shorter.
  key = jax.random.key(0, impl='unsafe_rbg')
  compiled = init.lower(key).compile(
      compiler_options={'xla_backend_optimization_level': 0}
  )
  return jax.tree.map(np.asarray, compiled(key))


@pytest.fixture(name='boxed', scope='module')
def _boxed():
  return _init(Network(_SPEC, 100), 16)


def test_leaves_are_those_of_flax_on_the_host() -> None:
  images = np.zeros((1, 16, 16, 3), np.float32)
  init = functools.partial(Network(_SPEC, 100).init, train=False)
  shapes = nn.meta.unbox(jax.eval_shape(init, jax.random.key(0), images))
  drawn = _variables()
  assert jax.tree.structure(drawn) == jax.tree.structure(shapes)
  for leaf, shape in zip(
      jax.tree.leaves(drawn), jax.tree.leaves(shapes), strict=True
  ):
    assert isinstance(leaf, np.ndarray)
    assert leaf.dtype == shape.dtype == np.float32
    assert leaf.shape == shape.shape


def test_network_is_neither_run_nor_compiled(caplog) -> None:
  with jax.log_compiles():
    _variables()
  assert 'XLA compilation' not in caplog.text
  with jax.log_compiles():
    jax.jit(lambda x: x + 1)(np.ones(3))
  assert 'XLA compilation' in caplog.text  # what the first half looks for


# First digits of the SHA-256 of paths and values: a search that is repeated
# with a later version starts from the same weights.
@pytest.mark.parametrize(('name', 'seed', 'digest'), [
    ('mobilenet_v3_small', 0, '5d646fe23e15637b'),
    ('mobilenet_v3_small', 3, 'b1a95b62b3154951'),
    ('mnasnet_a1', 0, 'b931e1fa52cbefea'),
])
def test_drawn_values_stay_the_same(name, seed, digest) -> None:
  model = Network(REFERENCE_NETWORKS[name], 1000)
  sha = hashlib.sha256()
  for path, leaf in _leaves(initial_variables(model, 32, seed)).items():
    sha.update(path.encode() + leaf.tobytes())
  assert sha.hexdigest().startswith(digest)


def test_every_leaf_has_a_stream_of_its_own_by_seed_and_path() -> None:
  first, second = _SPEC.blocks
  spec = dataclasses.replace(_SPEC, blocks=(
      dataclasses.replace(first, kernel=3), second, InvertedResidual(48, 96),
      InvertedResidual(48, 96),
  ))
  values, others = _leaves(_variables()), _leaves(_variables(spec))
  shared = {
      name for name in values
      if name in others and values[name].shape == others[name].shape
  }
  assert set(values) - shared == {'params/block0/depthwise/kernel'}
  for name in shared:
    assert np.array_equal(values[name], others[name])
  assert not np.array_equal(
      others['params/block2/expand/kernel'],
      others['params/block3/expand/kernel'],
  )
  for name, leaf in _leaves(_variables(seed=1)).items():
    assert np.array_equal(leaf, values[name]) != name.endswith('kernel')


@pytest.mark.parametrize(
    ('leaf', 'value'),
    [('scale', 1.0), ('bias', 0.0), ('mean', 0.0), ('var', 1.0)],
)
def test_constants(leaf: str, value: float, boxed) -> None:
  for variables in (_variables(), nn.meta.unbox(boxed)):
    found = [
        values for name, values in _leaves(variables).items()
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


def _assert_normal(kernel, deviation: float) -> None:
  # Five standard errors of an estimate from so many normal draws.
  bound = 5 / math.sqrt(2 * kernel.size)
  assert np.std(kernel) == pytest.approx(deviation, rel=bound)
  assert abs(np.mean(kernel)) < 5 * deviation / math.sqrt(kernel.size)


def test_deviations_of_kernels() -> None:
  kernels = {
      name: leaf for name, leaf in _leaves(_variables()).items()
      if name.endswith('kernel')
  }
  assert set(kernels) == {f'params/{name}/kernel' for name in _DEVIATIONS}
  for name, deviation in _DEVIATIONS.items():
    _assert_normal(kernels[f'params/{name}/kernel'], deviation)


# By hand: He's sqrt(2 / fan in), where a depthwise filter's fan in is its taps.
_FAN_IN = {
    'stem': 9 * 3, 'block0/expand': 32, 'block0/depthwise': 49,
    'block0/squeeze/reduce': 96, 'block0/squeeze/gate': 24,
    'block0/project': 96, 'block1/expand': 48, 'block1/depthwise': 25,
    'block1/project': 128, 'head': 48, 'hidden': 256,
}


def test_kernels_of_the_tunas_recipe() -> None:
  """Truncated as TensorFlow's he_normal; the classifier N(0, 0.01)."""
  declared = _leaves(_variables())
  drawn = _leaves(Initialization(
      Network(_SPEC, 100), 16, Beginning('fan_in', 0.01)
  ).draw(0))
  for name, fan_in in _FAN_IN.items():
    kernel, deviation = drawn[f'params/{name}/kernel'], math.sqrt(2 / fan_in)
    _assert_normal(kernel, deviation)
    # Two deviations of what was cut there: 2.27 of what is left.
    assert np.abs(kernel).max() <= 2.274 * deviation
    if kernel.size > 500:
      assert np.abs(kernel).max() > 2 * deviation
  _assert_normal(drawn['params/classifier/kernel'], 0.01)
  kernels = {f'params/{name}/kernel' for name in (*_FAN_IN, 'classifier')}
  for name in set(drawn) - kernels:
    np.testing.assert_array_equal(drawn[name], declared[name])


@pytest.mark.parametrize('spec', [
    _SPEC, pytest.param(mobilenet_v3_small(), marks=pytest.mark.long),
])
def test_init_has_the_distribution_of_the_drawing(spec) -> None:
  model = Network(spec, 100)
  drawn = _leaves(initial_variables(model, 32, 0))
  given = _leaves(nn.meta.unbox(_init(model, 32)))
  assert set(drawn) == set(given)
  for name, leaf in drawn.items():
    if name.endswith('kernel'):
      # Both estimate the deviation, each with its error.
      deviation = np.std(leaf) + np.std(given[name])
      for kernel in (leaf, given[name]):
        bound = 5 / math.sqrt(kernel.size)
        assert np.std(kernel) == pytest.approx(deviation / 2, rel=bound)
        assert abs(np.mean(kernel)) < 5 * deviation / math.sqrt(kernel.size)
    else:
      np.testing.assert_array_equal(leaf, given[name])


def test_boxed_and_plain_variables_compute_the_same(boxed) -> None:
  plain = nn.meta.unbox(boxed)
  assert jax.tree.structure(boxed) != jax.tree.structure(plain)
  apply = functools.partial(
      Network(_SPEC, 100).apply, train=True, mutable=['batch_stats']
  )
  images = np.zeros((2, 16, 16, 3), np.float32)
  programs = [
      str(jax.make_jaxpr(apply)(variables, images))
      for variables in (boxed, plain)
  ]
  assert programs[0] == programs[1]
  _, updated = jax.eval_shape(apply, boxed, images)
  _, expected = jax.eval_shape(apply, plain, images)
  assert nn.meta.unbox(updated) == expected


def _kinds_by_name(path: str) -> set[str]:
  """What the names of the package's own modules tell."""
  *_, module, name = path.split('/')
  if module.endswith('norm'):
    return {'batch_norm'}
  return ({module} & {'depthwise', 'classifier'}) | ({name} & {'bias'})


@pytest.mark.parametrize('name', REFERENCE_NETWORKS)
def test_kinds_of_parameters(name: str) -> None:
  kinds = _leaves(
      Initialization(Network(REFERENCE_NETWORKS[name], 10), 32).kinds
  )
  assert kinds == {
      path: _kinds_by_name(f'/{path}') for path in kinds
  }
  assert set(itertools.chain(*kinds.values())) == set(PARAMETER_KINDS)


@dataclasses.dataclass(frozen=True)
class PlainBlock(Block):
  """Of Flax's own layers."""

  flax_module = f'{__name__}:PlainBlockModule'
  filters: int
  stride: int = 1

  def counts(self, inputs: ModuleInput) -> Counts:
    raise NotImplementedError


class PlainBlockModule(BlockModule):
  """Declares nothing; its bias is normal, its kernel 3 throughout."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    x = nn.Conv(
        self.spec.filters, (3, 3), name='conv',
        kernel_init=nn.initializers.constant(3.0),
        bias_init=nn.initializers.normal(2.0),
    )(x)
    return nn.BatchNorm(use_running_average=True, name='own_norm')(x)


def test_parameters_without_declaration_come_from_init() -> None:
  blocks = (PlainBlock(1000), InvertedResidual(8, 0))
  model = Network(NetworkSpec(Stem(4), blocks, Head(0)), 10)
  initialization = Initialization(model, 8)
  drawn = [initialization.draw(seed) for seed in (0, 0, 1, 2**40)]
  first, _, other, _ = (
      variables['params']['block0'] for variables in drawn
  )
  jax.tree.map(np.testing.assert_array_equal, drawn[0], drawn[1])
  assert isinstance(first['conv']['bias'], np.ndarray)
  assert (first['conv']['kernel'] == 3.0).all()
  _assert_normal(first['conv']['bias'], 2.0)
  assert not np.array_equal(first['conv']['bias'], other['conv']['bias'])
  # What is declared is drawn as ever.
  spec = NetworkSpec(Stem(4), (InvertedResidual(8, 0),), Head(0))
  np.testing.assert_array_equal(
      drawn[0]['params']['stem']['kernel'],
      initial_variables(Network(spec, 10), 8, 0)['params']['stem']['kernel'],
  )
  # Shapes alone tell what decays.
  assert initialization.kinds['block0'] == {
      'conv': {'kernel': set(), 'bias': {'bias'}},
      'own_norm': {'scale': {'bias'}, 'bias': {'bias'}},
  }
