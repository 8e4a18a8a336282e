"""An own block type, two 3x3 convolutions with a shortcut, and a space over it.

Searched with --config.space=examples.own_block:space.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax

from layernas.models.blocks import BlockModule
from layernas.models.initialization import conv_kernel
from layernas.networks import counting
from layernas.networks.space import NetworkLayer
from layernas.networks.space import NetworkSpace
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import ModuleInput
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem


@dataclasses.dataclass(frozen=True)
class BasicBlock(Block):
  """The input is added where it has the shape of the output."""

  flax_module = 'examples.own_block:BasicBlockModule'
  filters: int
  stride: int = 1

  def counts(self, inputs: ModuleInput) -> counting.Counts:
    """Those of the module below, for one image."""
    size = counting.output_size(inputs.size, self.stride)
    first = counting.normed_conv(size, 9 * inputs.input_filters, self.filters)
    return first + counting.normed_conv(size, 9 * self.filters, self.filters)


class BasicBlockModule(BlockModule):
  """What is trained, and what is exported of it."""

  @staticmethod
  def infer(spec: BasicBlock, layers: Any, x: Any) -> Any:
    """See `BlockModule`."""
    y = layers.normed_conv(x, 'conv0', spec.stride, 'relu')
    y = layers.normed_conv(y, 'conv1')
    same = (x.size, x.filters) == (y.size, y.filters)
    return layers.activation(layers.add(x, y) if same else y, 'relu')

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    y = x
    for i, stride in enumerate((self.spec.stride, 1)):
      y = nn.Conv(
          self.spec.filters, (3, 3), stride, use_bias=False, dtype=self.dtype,
          kernel_init=conv_kernel(), name=f'conv{i}',
      )(y)
      y = self.norm(name=f'conv{i}_norm')(y, '' if i else 'relu')
    return nn.relu(x + y if x.shape == y.shape else y)


def space() -> NetworkSpace:
  """Four networks."""
  base = NetworkSpec(Stem(8), (BasicBlock(8), BasicBlock(16, 2)), Head(0))
  return NetworkSpace(base, (
      NetworkLayer('first', ('block0',), ({'filters': 8}, {'filters': 12})),
      NetworkLayer('second', ('block1',), ({'filters': 16}, {'filters': 24})),
  ))
