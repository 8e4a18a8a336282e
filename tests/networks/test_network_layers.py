"""Tests of layernas.networks.mobilenet_spaces."""

from layernas.networks.mobilenet_spaces import block_layer
from layernas.networks.mobilenet_spaces import filters_layer


def test_filters_layer_is_shared_by_its_blocks() -> None:
  layer = filters_layer('stage', (3, 4), (8, 16, 24), 16)
  assert layer.targets == ('block3', 'block4')
  assert layer.options[layer.default] == {'filters': 16}


def test_block_layer_pairs() -> None:
  layer = block_layer(2, ((3, 24), (5, 48)), (5, 48))
  assert layer.targets == ('block2',)
  assert layer.options[layer.default] == {'kernel': 5, 'expanded': 48}
