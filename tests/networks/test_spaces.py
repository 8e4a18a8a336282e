"""The spaces that come with the package."""

from layernas.networks.spaces import block_layer
from layernas.networks.spaces import cifar10_small
from layernas.networks.spaces import filters_layer


def test_filters_layer_is_shared_by_its_blocks() -> None:
  layer = filters_layer('stage', (3, 4), (8, 16, 24), 16)
  assert layer.targets == ('block3', 'block4')
  assert layer.options[layer.default] == {'filters': 16}


def test_block_layer_pairs() -> None:
  layer = block_layer(2, ((3, 24), (5, 48)), (5, 48))
  assert layer.targets == ('block2',)
  assert layer.options[layer.default] == {'kernel': 5, 'expanded': 48}


def test_cifar10_small() -> None:
  space = cifar10_small()
  # Shared filters first, then the blocks.
  names = [layer.name for layer in space.layers]
  assert names == ['stage1', 'stage2', 'stage3', 'block0', 'block1', 'block3',
                   'block4']
  default = space.network(space.search_space.default)
  assert default == space.base
  cost = space.cost('madds', 32, 10)
  assert cost.cost(space.search_space.default) == 2_385_024
  assert cost.interval(space.search_space.default, ()) == (1_073_664, 3_171_456)
