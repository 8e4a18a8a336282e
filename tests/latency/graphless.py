"""A space of blocks that have no inference graph."""

from examples.own_block import BasicBlock
from layernas.networks.space import NetworkLayer
from layernas.networks.space import NetworkSpace
from layernas.networks.spec import Head
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem


def space() -> NetworkSpace:
  """One layer of two options."""
  base = NetworkSpec(Stem(8), (BasicBlock(8),), Head(0))
  return NetworkSpace(base, [NetworkLayer(
      'width', ('block0',), ({'filters': 8}, {'filters': 16})
  )])
