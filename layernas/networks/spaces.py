"""Search spaces that come with the package. Their option lists are ours."""

import functools
from collections.abc import Callable

from layernas.networks.mobilenet_spaces import STAGES
from layernas.networks.mobilenet_spaces import mobilenet_space
from layernas.networks.network_layers import block_layer
from layernas.networks.network_layers import filters_layer
from layernas.networks.space import NetworkSpace
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem


def cifar10_small() -> NetworkSpace:
  """Seven layers over a small MobileNetV2 for 32-pixel images.

  First the base filters that the blocks of a stage share, then kernel and
  expanded filters of four blocks. The default has kernel 3 throughout and
  expanded filters three to four times the base filters.
  """
  base = NetworkSpec(
      Stem(16, stride=2),
      (
          Block(16, 48),
          Block(24, 96, stride=2),
          Block(24, 96),
          Block(48, 144, stride=2),
          Block(48, 192),
      ),
      Head(192),
  )
  return NetworkSpace(
      base,
      (
          filters_layer('stage1', (0,), (8, 16, 24), 16),
          filters_layer('stage2', (1, 2), (16, 24, 32), 24),
          filters_layer('stage3', (3, 4), (32, 48, 64), 48),
          block_layer(0, ((3, 24), (3, 48), (5, 24)), (3, 48)),
          block_layer(1, ((3, 48), (3, 96), (5, 48)), (3, 96)),
          block_layer(3, ((3, 72), (3, 144), (5, 144)), (3, 144)),
          block_layer(4, ((3, 96), (3, 192), (5, 192)), (3, 192)),
      ),
  )


SPACES: dict[str, Callable[[], NetworkSpace]] = {
    'cifar10_small': cifar10_small,
    **{name: functools.partial(mobilenet_space, name) for name in STAGES},
}
"""Spaces by the name that a config gives them."""
