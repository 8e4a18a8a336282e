"""Inference graphs: as the Flax module computes, in JAX and in ONNX Runtime."""

import collections
import functools
import itertools
import random

import jax
import numpy as np
import pytest

from examples import own_block
from layernas.errors import UserError
from layernas.export.graph import make_graph
from layernas.export.jax_graph import graph_function
from layernas.models.network import Network
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.spec import Head
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem
from tools.perf.random_weights import random_weights

onnx_file = pytest.importorskip('layernas.export.onnx_file')
onnxruntime = pytest.importorskip('onnxruntime')


def _check(spec, size, classes=10, count=20):
  model = Network(spec, classes, depthwise='native')
  variables = random_weights(model, size)
  images = np.random.default_rng(1).uniform(
      -1, 1, (count, size, size, 3)
  ).astype(np.float32)
  # As one program, which compiles in a quarter of the time.
  apply = jax.jit(functools.partial(model.apply, train=False))
  wanted = np.asarray(apply(variables, images))
  graph = make_graph(spec, variables, size, model.batch_norm_epsilon)
  scale = max(np.abs(wanted).max(), 1)
  in_jax = np.asarray(jax.jit(graph_function(graph))(images))
  np.testing.assert_allclose(in_jax / scale, wanted / scale, atol=2e-5)
  made = onnx_file.onnx_model(graph, {'a': 'b'})
  data = made.SerializeToString()
  parameters = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
  session = onnxruntime.InferenceSession(data)
  [found] = session.run(None, {'image': images})
  np.testing.assert_allclose(found / scale, wanted / scale, atol=2e-5)
  assert (found.argmax(axis=1) == wanted.argmax(axis=1)).all()
  # Batches of any size; metadata.
  [one] = session.run(None, {'image': images[:1]})
  np.testing.assert_allclose(one[0] / scale, wanted[0] / scale, atol=2e-5)
  assert session.get_modelmeta().custom_metadata_map == {'a': 'b'}
  return graph, len(data), parameters


@pytest.mark.parametrize('name', [
    'cifar10_large', pytest.param('mobilenet_v3_small', marks=pytest.mark.long),
])
def test_a_random_network_of_a_space(name):
  space = SPACES[name]()
  rng = random.Random(0)
  one = tuple(map(rng.randrange, space.search_space.option_counts))
  _check(space.network(one), 32)


@pytest.mark.long
@pytest.mark.parametrize('name', list(SPACES))
def test_ten_random_networks_of_every_space(name):
  space = SPACES[name]()
  rng = random.Random(1)
  for _ in range(10):
    one = tuple(map(rng.randrange, space.search_space.option_counts))
    _check(space.network(one), 64)


@pytest.mark.long
@pytest.mark.parametrize('name', list(REFERENCE_NETWORKS))
def test_published_networks(name):
  _, size, parameters = _check(REFERENCE_NETWORKS[name], 224, 1000, 200)
  assert size <= 4.1 * parameters


def test_the_graph_has_no_operation_to_spare():
  space = SPACES['cifar10_small']()
  graph, _, _ = _check(space.network(space.search_space.default), 32)
  kinds = collections.Counter(node.kind for node in graph.nodes)
  blocks = space.network(space.search_space.default).blocks
  expanded = sum(block.expanded > 0 for block in blocks)
  # Stem, head, and of each block expansion, depthwise, projection.
  assert kinds['conv'] == 2 + 2 * len(blocks) + expanded
  assert kinds['mean'] == kinds['flatten'] == kinds['dense'] == 1
  assert sum(node.groups > 1 for node in graph.nodes) == len(blocks)


@pytest.mark.long
def test_a_block_type_of_ones_own_is_exported():
  space = own_block.space()
  for first, second in itertools.product(range(2), range(2)):
    _check(space.network((first, second)), 16)


def test_a_block_type_without_a_graph_is_named(monkeypatch):
  monkeypatch.delattr(own_block.BasicBlockModule, 'infer')
  spec = NetworkSpec(Stem(8), (own_block.BasicBlock(8),), Head(0))
  variables = random_weights(Network(spec, 10, depthwise='native'), 16)
  with pytest.raises(UserError, match=r'own_block:BasicBlock.*stablehlo'):
    make_graph(spec, variables, 16, 1e-3)
