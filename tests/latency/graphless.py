"""A space of blocks that have no inference graph."""

import dataclasses

from examples.own_block import BasicBlock
from examples.own_block import BasicBlockModule
from layernas.models.blocks import BlockModule
from layernas.networks.space import NetworkLayer
from layernas.networks.space import NetworkSpace
from layernas.networks.spec import Head
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem


@dataclasses.dataclass(frozen=True)
class GraphlessBlock(BasicBlock):
  """Counted as the block of the example."""

  flax_module = 'tests.latency.graphless:GraphlessModule'


class GraphlessModule(BasicBlockModule):
  """Trained as the block of the example."""

  infer = staticmethod(BlockModule.infer)


def space() -> NetworkSpace:
  """One layer of two options."""
  base = NetworkSpec(Stem(8), (GraphlessBlock(8),), Head(0))
  return NetworkSpace(base, [NetworkLayer(
      'width', ('block0',), ({'filters': 8}, {'filters': 16})
  )])
