"""Networks compute what their specs say, as a whole and module by module."""


import jax
import jax.numpy as jnp
import numpy as np
import pytest

from layernas.models import blocks
from layernas.models.batch_norm import hard_swish
from layernas.models.initialization import initial_variables
from layernas.models.network import Network
from layernas.models.network import create_module
from layernas.networks import spec as spec_lib
from layernas.networks.space import network_modules
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem

_SPEC = NetworkSpec(
    Stem(8, activation='hard_swish'),
    (
        InvertedResidual(8, 0),
        InvertedResidual(8, 16, 5, squeeze=Squeeze()),
        InvertedResidual(12, 16, 7, 2, 'swish'),
    ),
    Head(16, 12, 'hard_swish'),
)


def _model(spec=_SPEC, **fields):
  return Network(spec, num_classes=10, **fields)


def _apply(model, variables, images, train=False, **rngs):
  """Logits, and collections with batch statistics and modules' outputs."""

  @jax.jit
  def apply(variables, images):
    return model.apply(
        variables, images, train=train, rngs=rngs, capture_intermediates=True,
        mutable=['batch_stats', 'intermediates'],
    )

  return apply(variables, images)


def _output(collections, name):
  return collections['intermediates'][name]['__call__'][0]


def _images(batch=4):
  rng = np.random.default_rng(0)
  return rng.standard_normal((batch, 16, 16, 3), np.float32)


@pytest.mark.long
def test_bfloat16_is_near_float32():
  variables = initial_variables(_model(), 16, 0)
  exact, _ = _apply(_model(), variables, _images())
  rounded, seen = _apply(_model(dtype=jnp.bfloat16), variables, _images())
  assert rounded.dtype == exact.dtype == jnp.float32
  assert rounded.shape == exact.shape == (4, 10)
  difference = np.abs(rounded - exact).max()
  assert 0 < difference < 0.05 * np.abs(exact).max()
  for name in ('stem', 'block0', 'block1', 'block2', 'head_norm', 'hidden'):
    assert _output(seen, name).dtype == jnp.bfloat16, name
  assert {leaf.dtype for leaf in jax.tree.leaves(seen['batch_stats'])} == {
      np.dtype(np.float32)
  }


@pytest.mark.parametrize(
    ('block', 'stem_stride', 'residual'),
    [
        (InvertedResidual(8, 16), 2, True),
        (InvertedResidual(8, 0), 2, True),
        (InvertedResidual(8, 16, squeeze=Squeeze()), 2, True),
        (InvertedResidual(12, 16), 2, False),
        (InvertedResidual(8, 16, stride=2), 2, False),
        # One pixel in, one pixel out: the shapes alone would allow it.
        (InvertedResidual(8, 16, stride=2), 16, False),
    ],
)
def test_input_is_added_where_filters_and_stride_allow(
    block, stem_stride, residual
):
  spec = NetworkSpec(Stem(8, stride=stem_stride), (block,), Head(0))
  variables = initial_variables(_model(spec), 16, 0)
  # With a projection of zeros the block gives its input, or nothing.
  project = variables['params']['block0']['project']
  project['kernel'] = np.zeros_like(project['kernel'])
  _, seen = _apply(_model(spec), variables, _images())
  outputs = _output(seen, 'block0')
  if residual:
    stem = _output(seen, 'stem_norm')
    np.testing.assert_array_equal(outputs, stem)
    assert np.abs(outputs).max() > 0
  else:
    assert not np.any(outputs)


@pytest.mark.parametrize('gate', spec_lib.GATES)
def test_squeeze_scales_each_filter_by_its_gate(gate):
  x = np.random.default_rng(0).standard_normal((2, 3, 3, 8), np.float32)
  module = blocks.SqueezeExcite(Squeeze(gate=gate), 4, jnp.float32)
  rng = np.random.default_rng(1)
  weights = [
      rng.standard_normal(shape, np.float32)
      for shape in [(8, 4), (4,), (4, 8), (8,)]
  ]
  params = {
      'reduce': {'kernel': weights[0], 'bias': weights[1]},
      'gate': {'kernel': weights[2], 'bias': weights[3]},
  }
  hidden = np.maximum(x.mean((1, 2)) @ weights[0] + weights[1], 0)
  scores = hidden @ weights[2] + weights[3]
  gates = {
      'hard_sigmoid': np.clip(scores + 3, 0, 6) / 6,
      'sigmoid': 1 / (1 + np.exp(-scores)),
  }[gate]
  np.testing.assert_allclose(
      module.apply({'params': params}, x), x * gates[:, None, None],
      rtol=1e-5, atol=1e-5,
  )


def test_training_normalises_by_the_batch_and_updates_the_averages():
  spec = NetworkSpec(Stem(4), (InvertedResidual(4, 0),), Head(0))
  model = _model(spec, batch_norm_momentum=0.75, batch_norm_epsilon=0.5)
  variables = initial_variables(model, 16, 0)
  _, seen = _apply(model, variables, _images(), train=True)
  before, after = _output(seen, 'stem'), _output(seen, 'stem_norm')
  mean, variance = np.mean(before, (0, 1, 2)), np.var(before, (0, 1, 2))
  np.testing.assert_allclose(
      after, np.clip((before - mean) / np.sqrt(variance + 0.5), 0, 6),
      rtol=1e-4, atol=1e-5,
  )
  stats = seen['batch_stats']['stem_norm']
  np.testing.assert_allclose(stats['mean'], 0.25 * mean, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(stats['var'], 0.75 + 0.25 * variance, rtol=1e-4)


def test_evaluation_normalises_by_the_averages():
  variables = initial_variables(_model(), 16, 0)
  alone, _ = _apply(_model(), variables, _images()[:1])
  together, collections = _apply(_model(), variables, _images())
  np.testing.assert_allclose(alone, together[:1], rtol=1e-4, atol=1e-5)
  jax.tree.map(
      np.testing.assert_array_equal,
      collections['batch_stats'], variables['batch_stats'],
  )


def test_dropout_is_before_the_classifier_and_only_in_training():
  head = Head(0, 32, 'hard_swish')
  spec = NetworkSpec(Stem(4), (InvertedResidual(4, 0),), head)
  model = _model(spec, dropout_rate=0.5)
  variables = initial_variables(model, 16, 0)
  evaluated, _ = _apply(model, variables, _images())
  np.testing.assert_array_equal(
      evaluated, _apply(_model(spec), variables, _images())[0]
  )
  _, seen = _apply(
      model, variables, _images(16), train=True, dropout=jax.random.key(0)
  )
  hidden = hard_swish(_output(seen, 'hidden'))
  dropped = _output(seen, 'Dropout_0')
  kept = np.asarray(dropped != 0)
  assert 0.3 < kept.mean() < 0.7
  np.testing.assert_allclose(dropped[kept], 2 * hidden[kept], rtol=1e-5)
  kernel, bias = (
      variables['params']['classifier'][name] for name in ('kernel', 'bias')
  )
  np.testing.assert_allclose(
      _output(seen, 'classifier'), dropped @ kernel + bias, rtol=1e-4, atol=1e-5
  )


def test_every_parameter_has_a_gradient():
  model = _model()
  variables = initial_variables(model, 16, 0)

  @jax.jit
  def gradient(params):
    def loss(params):
      logits, _ = model.apply(
          {**variables, 'params': params}, _images(), train=True,
          mutable=['batch_stats'],
      )
      return jnp.mean(jax.nn.log_softmax(logits)[:, 0])

    return jax.grad(loss)(params)

  for path, leaf in jax.tree_util.tree_leaves_with_path(
      gradient(variables['params'])
  ):
    assert np.isfinite(leaf).all(), path
    assert np.any(leaf), path


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


def _evaluated(model, variables, x):
  return jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, x)


@pytest.mark.parametrize(('network', 'epsilon'), [
    (_SPEC, 0.5),
    (NetworkSpec(Stem(4, stride=1), (InvertedResidual(4, 8),), Head(0)), 1e-3),
])
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
    x = _evaluated(alone, own, x)
  logits = _evaluated(whole, variables, images)
  np.testing.assert_allclose(x, logits, rtol=1e-5, atol=1e-5)
  assert np.ptp(logits) > 0.01
