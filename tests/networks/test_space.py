"""Network spaces: networks, costs, bounds, signatures, wrong layers."""

import dataclasses
import itertools
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings

from layernas.errors import UserError
from layernas.networks.space import NetworkLayer
from layernas.networks.space import NetworkSpace
from layernas.networks.space import network_modules
from layernas.networks.space import sized_module
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.networks.spec import Stem
from layernas.networks.spec import spec_from_dict
from tests.network_specs import NETWORKS

_BASE = NetworkSpec(
    Stem(8),
    (
        InvertedResidual(8, 0),
        InvertedResidual(16, 24, stride=2, squeeze=Squeeze()),
        InvertedResidual(16, 40, squeeze=Squeeze(of='input', divisor=1)),
    ),
    Head(32, hidden=16),
)


def _space() -> NetworkSpace:
  """Widths that multiply, a block that none but its own layer touches."""
  return NetworkSpace(_BASE, (
      NetworkLayer('stem', ('stem',), ({'filters': 4}, {'filters': 12}), 1),
      NetworkLayer('first', ('block0',), ({'filters': 8}, {'filters': 20})),
      NetworkLayer('stage', ('block1', 'block2'),
                   ({'filters': 24}, {'filters': 8}, {'filters': 16})),
      NetworkLayer('block1', ('block1',), (
          {'kernel': 3, 'expanded': 24}, {'kernel': 5, 'expanded': 40})),
      NetworkLayer('block2', ('block2',), (
          {'squeeze': None}, {'squeeze': Squeeze()})),
      NetworkLayer('head', ('head',), ({'filters': 16}, {'filters': 64})),
  ))


def _architectures(space: NetworkSpace) -> list[tuple[int, ...]]:
  counts = space.search_space.option_counts
  return list(itertools.product(*map(range, counts)))


@pytest.mark.parametrize('metric', ['madds', 'params'])
def test_factored_cost_is_the_count_of_the_network(metric: str) -> None:
  space = _space()
  cost = space.cost(metric, 33, 7)
  for architecture in _architectures(space):
    counts = space.network(architecture).counts(33, 7)
    assert cost.cost(architecture) == getattr(counts, metric)


@pytest.mark.parametrize('metric', ['madds', 'params'])
def test_reachable_interval_is_that_of_enumeration(metric: str) -> None:
  # Costs grow with every width, so the factor-wise bounds are exact.
  space = _space()
  cost = space.cost(metric, 32, 10)
  architectures = _architectures(space)
  for length in range(len(space.layers) + 1):
    for prefix in {chosen[:length] for chosen in architectures}:
      costs = [cost.cost(c) for c in architectures if c[:length] == prefix]
      example = next(c for c in architectures if c[:length] == prefix)
      assert cost.interval(example, range(length)) == (min(costs), max(costs))


def test_network_takes_the_options_of_its_layers() -> None:
  network = _space().network((0, 1, 2, 1, 0, 1))
  assert network.stem.filters == 4
  assert [block.filters for block in network.blocks] == [20, 16, 16]
  assert (network.blocks[1].kernel, network.blocks[1].expanded) == (5, 40)
  assert network.blocks[2].squeeze is None
  assert (network.head.filters, network.head.hidden) == (64, 16)


@pytest.mark.parametrize(('layer', 'part'), [
    (NetworkLayer('x', ('block9',), ({'filters': 8},)), 'block9'),
    (NetworkLayer('x', ('block0',), ({'stride': 2},)), 'stride'),
    (NetworkLayer('x', ('block0',), ({'width': 2},)), 'width'),
    (NetworkLayer('x', ('block0',), ({'kernel': 4},)), 'odd'),
    (NetworkLayer('x', ('block0',), ({'filters': 0},)), '>= 1'),
    (NetworkLayer('x', ('block0',), ({'kernel': 3}, {'filters': 8})),
     'same fields'),
    (NetworkLayer('x', ('block0',), ()), 'no options'),
    (NetworkLayer('x', ('block0',), ({'kernel': 3},), 1), 'default 1'),
])
def test_wrong_layers(layer: NetworkLayer, part: str) -> None:
  with pytest.raises(UserError, match=part) as error:
    NetworkSpace(_BASE, (layer,))
  assert "'x'" in str(error.value)
  assert 'allowed' in str(error.value)


def test_blocks_of_the_base_are_checked() -> None:
  @dataclasses.dataclass(frozen=True)
  class LocalBlock(InvertedResidual):
    """Nobody else can import it."""

  layer = NetworkLayer('stem', ('stem',), ({'filters': 8},))
  for block, part in [
      (InvertedResidual(8, 8, kernel=2), 'network.block0.kernel: 2: .* odd'),
      (LocalBlock(8, 8), 'network.block0.type: .*LocalBlock'),
  ]:
    with pytest.raises(UserError, match=part):
      NetworkSpace(NetworkSpec(Stem(8), (block,), Head(0)), (layer,))


def test_one_layer_per_field() -> None:
  layers = [
      NetworkLayer(name, ('block0',), ({'filters': 8}, {'filters': 16}))
      for name in ('a', 'b')
  ]
  with pytest.raises(UserError, match="set by layer 'a' already"):
    NetworkSpace(_BASE, layers)


def test_unknown_metric_and_small_images() -> None:
  with pytest.raises(UserError, match='watts'):
    _space().cost('watts', 32, 10)
  with pytest.raises(UserError, match='at least 4'):
    _BASE.check_images(3)
  _BASE.check_images(4)


def test_modules_are_enumerated_over_the_layers_that_touch_them() -> None:
  space = _space()
  modules = list(space.modules(33))
  # Stem 2; block0: stem x first; block1: first x stage x block1; block2:
  # stage x block2; head: stage x head.
  assert len(modules) == 2 + 4 + 12 + 6 + 6
  found = set(modules)
  for architecture in _architectures(space):
    network = space.network(architecture)
    assert (network.stem, 3, 33) in found
    assert (network.blocks[1], network.blocks[0].filters, 17) in found
    assert (network.head, network.blocks[2].filters, 9) in found


def test_own_prices_are_added_up() -> None:
  cost = _space().priced(
      'kernels', 'taps', 32,
      lambda module, filters, size: getattr(module, 'kernel', 0) + size / 100,
  )
  # Stem and three blocks of kernel 3, then block1 of kernel 5.
  sizes = (32 + 16 + 16 + 8 + 8) / 100
  assert cost.cost((0,) * 6) == pytest.approx(12 + sizes)
  assert cost.cost((0, 0, 0, 1, 0, 0)) == pytest.approx(14 + sizes)
  assert (cost.name, cost.unit) == ('kernels', 'taps')
  with pytest.raises(UserError, match='at least 4'):
    _space().priced('kernels', 'taps', 3, lambda *module: 0)


def _signature(module, filters: int = 8, size: int = 5, classes: int = 3):
  return sized_module(module, filters, size, classes).signature


def test_texts() -> None:
  assert _signature(Stem(16, 5, 1, 'relu'), 3, 32) == (
      'stem size=32 input=3 filters=16 kernel=5 stride=1 activation=relu'
  )
  assert _signature(InvertedResidual(24, 96, 5, 2), 16, 8) == (
      'block size=8 input=16 filters=24 expanded=96 kernel=5 stride=2'
      ' activation=relu6'
  )
  assert _signature(InvertedResidual(24, 96, squeeze=Squeeze()), 16, 8) == (
      'block size=8 input=16 filters=24 expanded=96 kernel=3 stride=1'
      ' activation=relu6 squeeze=24 gate=hard_sigmoid squeeze_activation=relu'
  )
  assert _signature(Head(64, 32, 'swish'), 24, 2, 10) == (
      'head size=2 input=24 filters=64 hidden=32 activation=swish classes=10'
  )


def test_every_field_of_stem_and_head_counts() -> None:
  stem, head = Stem(8), Head(16, 8)
  stems = [stem, Stem(4), Stem(8, kernel=5), Stem(8, stride=1),
           Stem(8, activation='swish')]
  heads = [head, Head(8, 8), Head(16, 4), Head(16, 8, 'swish')]
  for modules in (stems, heads):
    assert len({_signature(module) for module in modules}) == len(modules)
  assert len({
      _signature(head), _signature(head, filters=4), _signature(head, size=4),
      _signature(head, classes=4),
  }) == 4


@settings(max_examples=30)
@given(network=NETWORKS)
def test_texts_stand_in_a_csv_file_as_they_are(network) -> None:
  modules = network_modules(network, 30, 10)
  assert len(modules) == len(network.blocks) + 2
  for module in modules:
    assert not re.search(r'[,"\n]', module.signature)
    assert module.signature == module.signature.strip()


_RATIO = {'squeeze': Squeeze(ratio=0.25)}


@pytest.mark.parametrize(('layer', 'parts'), [
    (NetworkLayer('x', ('block0',), ({'filters': 8}, {'filters': 8})),
     ['options 0 and 1', "{'filters': 8}", 'are equal']),
    (NetworkLayer('x', ('block1',), (
        {'kernel': 3, 'expanded': 8}, {'kernel': 5, 'expanded': 8},
        {'expanded': 8, 'kernel': 3})),
     ['options 0 and 2', 'are equal']),
    (NetworkLayer('x', ('block1',), ({'kernel': 3}, {'kernel': np.int64(3)})),
     ['options 0 and 1', "{'kernel': 3}", 'are equal']),
    (NetworkLayer('x', ('block1',), ({}, {}, {})), ['set no field']),
    (NetworkLayer('x', ('block1',), ({},)), ['set no field']),
    (NetworkLayer('x', (), ({'kernel': 3}, {'kernel': 5})), ['set no target']),
    # The squeeze filters are rounded to multiples of eight.
    (NetworkLayer('x', ('block1',), (_RATIO, {'squeeze': Squeeze(0.3)})),
     ['options 0 and 1', 'ratio=0.3', 'make the same networks']),
])
def test_options_that_change_nothing(layer, parts) -> None:
  with pytest.raises(UserError) as error:
    NetworkSpace(_BASE, (layer,))
  for part in ["'x'", 'allowed', *parts]:
    assert part in str(error.value)


def test_a_field_without_effect_changes_nothing() -> None:
  """Without convolution and hidden layer a head has no activation."""
  activations = NetworkLayer(
      'x', ('head',), ({'activation': 'relu'}, {'activation': 'swish'})
  )
  NetworkSpace(_BASE, (activations,))
  bare = NetworkSpec(_BASE.stem, _BASE.blocks, Head(0))
  with pytest.raises(UserError, match='make the same networks'):
    NetworkSpace(bare, (activations,))
  # With another layer's option they differ.
  filters = NetworkLayer('y', ('head',), ({'filters': 0}, {'filters': 8}))
  NetworkSpace(bare, (activations, filters))


def test_options_that_differ_elsewhere_alone_are_kept() -> None:
  """Two ratios that come to the same squeeze filters of the default alone."""
  ratios = NetworkLayer(
      'ratio', ('block1',), (_RATIO, {'squeeze': Squeeze(0.3)})
  )
  wide = NetworkLayer('wide', ('block1',), ({'expanded': 24},
                                            {'expanded': 400}))
  assert NetworkSpace(_BASE, (ratios, wide)).search_space.size == 4


def test_numbers_of_numpy_are_integers() -> None:
  """In specs, options and defaults; costs and JSON are those of Python's."""
  def space(integer):
    base = NetworkSpec(
        Stem(integer(8)),
        [InvertedResidual(integer(8), integer(0), squeeze=Squeeze(
            ratio=np.float32(0.25) if integer is not int else 0.25))],
        Head(integer(0)),
    )
    return NetworkSpace(base, [NetworkLayer(
        'x', ['block0'], [{'filters': integer(f)} for f in (8, 16)], integer(1)
    )])

  plain, other = space(int), space(np.int64)
  for one, two in zip(
      plain.cost('madds', 32, 10).factors, other.cost('madds', 32, 10).factors,
      strict=True,
  ):
    assert np.array_equal(one.table, two.table)
  network = other.network((np.int64(1),))
  assert network == plain.network((1,))
  assert json.dumps(network.to_dict()) == json.dumps(
      plain.network((1,)).to_dict()
  )
  assert spec_from_dict(network.to_dict()) == network
  assert json.dumps(other.search_space.describe((1,)))
  assert type(other.search_space.default[0]) is int


@pytest.mark.parametrize(('options', 'part'), [
    ({'filters': 8}, 'a tuple of them'),
    ((8, 16), r'option 8: allowed is a dict of fields'),
])
def test_options_that_are_no_dicts(options, part) -> None:
  with pytest.raises(UserError, match=part):
    NetworkLayer('x', ('block0',), options)


def test_a_block_of_no_type_is_the_usual_one() -> None:
  """As spaces were written for version 0.1."""
  block = Block(filters=8, expanded=16, kernel=5)
  assert block == InvertedResidual(8, 16, kernel=5)
  assert dataclasses.replace(block, kernel=3) == InvertedResidual(8, 16)


_DEEP = NetworkSpec(
    Stem(8),
    (
        InvertedResidual(8, 16),
        InvertedResidual(8, 16, stride=2),
        InvertedResidual(8, 16),
        InvertedResidual(8, 16),
    ),
    Head(16),
)


def _deep_space() -> NetworkSpace:
  """A first block that may be left out, and one to three of the others."""
  rest = ('block1', 'block2', 'block3')
  return NetworkSpace(_DEEP, (
      NetworkLayer('kernel', rest, ({'kernel': 3}, {'kernel': 5})),
      NetworkLayer('first', ('block0',), ({'depth': 1}, {'depth': 0})),
      NetworkLayer('expanded', ('block2',),
                   ({'expanded': 8}, {'expanded': 24})),
      NetworkLayer('depth', rest,
                   ({'depth': 3}, {'depth': 1}, {'depth': 2}), 2),
      NetworkLayer('filters', rest, ({'filters': 8}, {'filters': 12})),
  ))


def test_depth_leaves_out_the_last_targets() -> None:
  space = _deep_space()
  network = space.network((1, 0, 1, 0, 1))
  assert [block.filters for block in network.blocks] == [8, 12, 12, 12]
  assert [block.expanded for block in network.blocks] == [16, 16, 24, 16]
  network = space.network((1, 1, 1, 2, 1))
  assert [block.stride for block in network.blocks] == [2, 1]
  assert [block.kernel for block in network.blocks] == [5, 5]
  assert space.network((0, 0, 0, 1, 0)) == dataclasses.replace(
      _DEEP, blocks=_DEEP.blocks[:2]
  )
  assert len(space.network(space.search_space.default).blocks) == 3
  # What is built is read back from JSON as any other network.
  assert spec_from_dict(network.to_dict()) == network


@pytest.mark.parametrize('metric', ['madds', 'params'])
def test_costs_with_depth_are_counts(metric: str) -> None:
  space = _deep_space()
  cost = space.cost(metric, 33, 7)
  architectures = _architectures(space)
  for architecture in architectures:
    counts = space.network(architecture).counts(33, 7)
    assert cost.cost(architecture) == getattr(counts, metric)
  for length in range(len(space.layers) + 1):
    for prefix in {chosen[:length] for chosen in architectures}:
      costs = [cost.cost(c) for c in architectures if c[:length] == prefix]
      example = next(c for c in architectures if c[:length] == prefix)
      low, high = cost.interval(example, range(length))
      assert low <= min(costs)
      assert max(costs) <= high
      if length in (0, len(space.layers)):
        assert (low, high) == (min(costs), max(costs))


def test_modules_that_are_left_out_have_no_latency() -> None:
  space = _deep_space()
  # block0; block1 (2 kernels, 2 filters); block2 (2, 2, 2) and block3 (2, 2).
  assert len(list(space.modules(32))) == 1 + 1 + 4 + 8 + 4 + 2
  cost = space.priced('ones', '', 32, lambda *module: 1)
  for architecture in _architectures(space):
    network = space.network(architecture)
    assert cost.cost(architecture) == len(network.blocks) + 2
    placed = network_modules(network, 32, 7)
    found = {(one.module, one.input_filters, one.size) for one in placed}
    assert found <= set(space.modules(32))


@pytest.mark.parametrize(('targets', 'depths', 'part'), [
    (('block1',), (1, 0), 'leaves out block1: .* stride 1'),
    (('block0', 'block1'), (2, 1), 'leaves out block1: .* stride 1'),
    (('block2',), (1, 2), '2: allowed is an integer from 0 to 1'),
    (('block2',), (1, -1), '-1: allowed is an integer from 0 to 1'),
    (('block2',), (1, True), 'True: allowed is an integer'),
    (('stem',), (1, 0), 'same fields'),
    (('head',), (1, 0), 'same fields'),
    (('block2', 'block3'), (2, 2), 'are equal'),
])
def test_wrong_depths(targets, depths, part) -> None:
  layer = NetworkLayer(
      'x', targets, tuple({'depth': depth} for depth in depths)
  )
  with pytest.raises(UserError, match=part) as error:
    NetworkSpace(_DEEP, (layer,))
  assert "'x'" in str(error.value)
  assert 'allowed' in str(error.value)


@pytest.mark.parametrize(('targets', 'filters'), [
    (('block2',), (8, 16)),
    (('block1',), (8, 16)),
    (('block1', 'block3'), (8, 16)),
])
def test_what_is_left_out_keeps_the_filters(targets, filters) -> None:
  depth = NetworkLayer('depth', ('block2',), ({'depth': 1}, {'depth': 0}))
  layer = NetworkLayer(
      'filters', targets, tuple({'filters': count} for count in filters)
  )
  with pytest.raises(UserError, match='filters of the module before'):
    NetworkSpace(_DEEP, (layer, depth))
  other = dataclasses.replace(_DEEP.blocks[2], filters=16)
  blocks = (*_DEEP.blocks[:2], other, _DEEP.blocks[3])
  with pytest.raises(UserError, match='filters of the module before'):
    NetworkSpace(dataclasses.replace(_DEEP, blocks=blocks), (depth,))


def test_one_block_stays() -> None:
  base = dataclasses.replace(_DEEP, blocks=_DEEP.blocks[2:])
  layer = NetworkLayer(
      'x', ('block0', 'block1'), ({'depth': 2}, {'depth': 0})
  )
  with pytest.raises(UserError, match='every block'):
    NetworkSpace(base, (layer,))


@dataclasses.dataclass(frozen=True)
class DeepBlock(InvertedResidual):
  """Has a depth of its own."""

  depth: int = 1


def test_a_depth_of_the_blocks_own_is_a_field_as_any_other() -> None:
  layer = NetworkLayer('x', ('block0',), ({'depth': 1}, {'depth': 3}))
  base = dataclasses.replace(_DEEP, blocks=(DeepBlock(8, 16),))
  assert NetworkSpace(base, (layer,)).network((1,)).blocks[0].depth == 3
