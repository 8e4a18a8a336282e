"""The spaces that come with the package."""

import functools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from configs import cifar10_small as config
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.mobilenet_spaces import STAGES
from layernas.networks.mobilenet_spaces import block_layer
from layernas.networks.mobilenet_spaces import cifar10_large
from layernas.networks.mobilenet_spaces import cifar10_small
from layernas.networks.mobilenet_spaces import cifar10_stages
from layernas.networks.mobilenet_spaces import filters_layer
from layernas.networks.mobilenet_spaces import mobilenet_space
from layernas.networks.mobilenet_spaces import stagewise_space
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.reference import mobilenet_v2
from layernas.networks.reference import mobilenet_v3_small
from layernas.networks.spec import Squeeze
from layernas.search.cost import FactoredCost

# Networks: options of the stages, of the block without expansion (kernels) and
# of the others (kernels times lists); sum of options; smallest and largest
# MAdds at 224 pixels.
_SIZES = {
    'mobilenet_v3_small': (
        3**4 * 5 * 3 * 3**10 * 7**5 * 21**2 * 61 * 121**2, 1160,
        28_457_952, 113_516_416,
    ),
    'mobilenet_v3_large': (
        3**3 * 5**3 * 3 * 27**14, 405, 94_133_136, 451_263_056
    ),
    'mobilenet_v2': (
        3**3 * 5**4 * 3 * 27**16, 464, 134_017_472, 658_124_608
    ),
    'mobilenet_v2_1.4': (
        3**3 * 5**4 * 3 * 27**16, 464, 276_426_808, 1_158_792_936
    ),
}


def test_shared_filters_and_block_layers() -> None:
  layer = filters_layer('stage', (3, 4), (8, 16, 24), 16)
  assert layer.targets == ('block3', 'block4')
  assert layer.options[layer.default] == {'filters': 16}
  layer = block_layer(2, ((3, 24), (5, 48)), (5, 48))
  assert layer.targets == ('block2',)
  assert layer.options[layer.default] == {'kernel': 5, 'expanded': 48}


@pytest.mark.parametrize('name', _SIZES)
def test_sizes(name: str) -> None:
  space = mobilenet_space(name)
  search_space = space.search_space
  interval = space.cost('madds', 224, 1000).interval(search_space.default, ())
  assert (
      search_space.size, sum(search_space.option_counts), *interval
  ) == _SIZES[name]


def test_v3_small_has_the_published_size() -> None:
  search_space = mobilenet_space('mobilenet_v3_small').search_space
  assert math.isclose(search_space.size, 5e20, rel_tol=0.1)
  assert math.isclose(sum(search_space.option_counts), 1200, rel_tol=0.1)


@pytest.mark.parametrize('name', STAGES)
def test_shared_filters_come_before_the_blocks(name: str) -> None:
  space = mobilenet_space(name)
  blocks = len(space.base.blocks)
  stages = len(STAGES[name])
  shared, own = space.layers[:stages], space.layers[stages:]
  assert [layer.fields for layer in shared] == [{'filters'}] * stages
  # Every block in one stage, in forward order.
  assert [target for layer in shared for target in layer.targets] == [
      f'block{index}' for index in range(blocks)
  ]
  assert [layer.targets for layer in own] == [
      (f'block{index}',) for index in range(blocks)
  ]
  assert {layer.fields for layer in own} == {
      frozenset({'kernel', 'expanded'})
  }


@pytest.mark.parametrize('name', STAGES)
def test_options_are_multiples_of_eight_around_the_reference(
    name: str
) -> None:
  space = mobilenet_space(name)
  for layer in space.layers:
    for field in layer.fields - {'kernel'}:
      values = sorted({option[field] for option in layer.options})
      assert not any(value % 8 for value in values)
      if values != [0]:
        reference = layer.options[layer.default][field]
        assert values[0] < reference < values[-1]
    if 'kernel' in layer.fields:
      assert {option['kernel'] for option in layer.options} == {3, 5, 7}


@pytest.mark.parametrize('name', STAGES)
def test_shortcuts_strides_and_squeezes_stay(name: str) -> None:
  space = mobilenet_space(name)
  rng = np.random.default_rng(0)
  base = space.base
  stage_of = np.repeat(
      np.arange(len(STAGES[name])), [len(s.expanded) for s in STAGES[name]]
  )
  for _ in range(20):
    network = space.network(
        tuple(map(int, rng.integers(space.search_space.option_counts)))
    )
    assert (network.stem, network.head) == (base.stem, base.head)
    for index, (block, reference) in enumerate(
        zip(network.blocks, base.blocks, strict=True)
    ):
      assert (block.stride, block.activation, block.squeeze) == (
          reference.stride, reference.activation, reference.squeeze
      )
      if index and stage_of[index] == stage_of[index - 1]:
        assert block.has_residual(network.input_filters(index))


@functools.cache
def _cost(name: str, metric: str) -> FactoredCost:
  return mobilenet_space(name).cost(metric, 224, 1000)


@pytest.mark.long
@settings(max_examples=50)
@given(data=st.data())
def test_no_completion_leaves_the_interval(data) -> None:
  """And the smallest and the largest options reach its ends."""
  cost = _cost(
      data.draw(st.sampled_from(sorted(STAGES))),
      data.draw(st.sampled_from(['madds', 'params'])),
  )
  counts = cost.space.option_counts
  decided = data.draw(st.lists(
      st.sampled_from(range(len(counts))), unique=True
  ))
  rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
  completions = rng.integers(counts, size=(64, len(counts)))
  # Options are in ascending order of kernel and filters.
  completions[-2], completions[-1] = 0, np.subtract(counts, 1)
  completions[:, decided] = completions[0, decided]
  costs = cost.costs(completions)
  low, high = cost.interval(tuple(map(int, completions[0])), decided)
  assert (costs >= low).all()
  assert (costs <= high).all()
  assert (costs[-2], costs[-1]) == (low, high)


def test_stages_must_be_those_of_the_network() -> None:
  stages = STAGES['mobilenet_v3_small']
  with pytest.raises(ValueError, match='argument'):
    stagewise_space(mobilenet_v3_small(), stages[:-1])
  with pytest.raises((ValueError, IndexError)):
    stagewise_space(mobilenet_v2(), stages)


def test_every_named_network_has_a_space() -> None:
  own = {'cifar10_small', 'cifar10_stages', 'cifar10_large'}
  assert set(SPACES) == {*own, *REFERENCE_NETWORKS}


# The base of the other one has all blocks that a network may have.
@pytest.mark.parametrize('name', ['cifar10_small', *STAGES])
def test_default_is_the_base(name: str) -> None:
  space = SPACES[name]()
  assert space.network(space.search_space.default) == space.base
  assert space.base == REFERENCE_NETWORKS.get(name, space.base)


@pytest.mark.parametrize('name', SPACES)
def test_cost_is_the_count_of_the_network(name: str) -> None:
  space = SPACES[name]()
  cost = space.cost('madds', 224, 1000)
  rng = random.Random(0)
  for _ in range(10):
    architecture = tuple(map(rng.randrange, space.search_space.option_counts))
    counts = space.network(architecture).counts(224, 1000)
    assert cost.cost(architecture) == counts.madds


def test_cifar10_small() -> None:
  space = cifar10_small()
  # Shared filters first, then the blocks.
  names = [layer.name for layer in space.layers]
  assert names == ['stage1', 'stage2', 'stage3', 'block0', 'block1', 'block3',
                   'block4']
  cost = space.cost('madds', 32, 10)
  assert cost.cost(space.search_space.default) == 2_385_024
  assert cost.interval(space.search_space.default, ()) == (1_073_664, 3_171_456)


def test_cifar10_stages() -> None:
  space = cifar10_stages()
  assert space.search_space.size == 144 * 162 * 192
  assert [layer.name for layer in space.layers] == [
      f'{field}{stage}' for stage in (1, 2, 3)
      for field in ('filters', 'kernel', 'expanded', 'squeeze', 'depth')
  ]
  cost = space.cost('madds', 32, 10)
  assert cost.interval(space.search_space.default, ()) == (595_840, 6_749_568)


def test_cifar10_large_has_the_ends_too() -> None:
  large, stages = cifar10_large(), cifar10_stages()
  assert large.search_space.size == 9 * stages.search_space.size == 40_310_784
  architecture = (2, *stages.search_space.default, 0)
  network = large.network(architecture)
  assert (network.stem.filters, network.head.filters) == (24, 96)
  default = stages.network(stages.search_space.default)
  assert network.blocks == default.blocks
  assert large.network(large.search_space.default) == default


def test_the_default_of_cifar10_stages_is_plain_and_in_the_target() -> None:
  space = cifar10_stages()
  network = space.network(space.search_space.default)
  assert network.counts(32, 10).madds == 1_746_816
  assert config.get_config().target.high >= 1_746_816
  assert [block.filters for block in network.blocks] == [16, 24, 24, 32, 32]
  for block in network.blocks:
    assert (block.expanded, block.kernel, block.squeeze) == (
        3 * block.filters, 3, None
    )


def test_blocks_of_a_stage_are_alike() -> None:
  space = cifar10_stages()
  rng = random.Random(0)
  for _ in range(50):
    architecture = tuple(map(rng.randrange, space.search_space.option_counts))
    options = space.search_space.describe(architecture)
    blocks = list(space.network(architecture).blocks)
    for stage, stride in ((1, 1), (2, 2), (3, 2)):
      depth = options[f'depth{stage}']['depth']
      assert [block.stride for block in blocks[:depth]] == [
          stride, *[1] * (depth - 1)
      ]
      for block in blocks[:depth]:
        for field in ('filters', 'kernel', 'expanded', 'squeeze'):
          option = options[f'{field}{stage}'][field]
          assert getattr(block, field) == (
              Squeeze() if option and field == 'squeeze' else option
          )
      del blocks[:depth]
    assert not blocks


@pytest.mark.parametrize('name', SPACES)
def test_a_network_of_the_space_has_its_architecture(name) -> None:
  space, rng = SPACES[name](), random.Random(0)
  for _ in range(5):
    one = tuple(map(rng.randrange, space.search_space.option_counts))
    found = space.architecture_of(space.network(one))
    assert space.network(found) == space.network(one)
  default = space.search_space.default
  assert space.architecture_of(space.network(default)) == default


def test_published_networks_are_found_where_they_are() -> None:
  for name in ('mobilenet_v2', 'mobilenet_v3_small_no_se', 'mnasnet_a1'):
    space = SPACES[name]()
    held = [
        other for other, network in REFERENCE_NETWORKS.items()
        if space.architecture_of(network) is not None
    ]
    assert held == [name]
  small = SPACES['cifar10_small']()
  assert not any(map(small.architecture_of, REFERENCE_NETWORKS.values()))
