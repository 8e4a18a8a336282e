"""What a MobileNet-style network is, as plain data.

A `NetworkSpec` holds everything that decides a network's shape except the
image size and the number of classes, which belong to the data set. The Flax
builder (`layernas.models`) and the counter (`layernas.networks.counting`) read
the same spec, so that what is counted is what is trained.
"""

import dataclasses
from typing import Any

ACTIVATIONS = ('relu', 'relu6', 'hard_swish', 'swish')
GATES = ('hard_sigmoid', 'sigmoid')


@dataclasses.dataclass(frozen=True)
class Squeeze:
  """Squeeze-and-excite part of a block.

  Attributes:
    ratio: squeeze filters as a share of the filters named by `of`.
    of: 'expanded' (MobileNetV3) or 'input' (MnasNet: the block's input).
    divisor: the squeeze filters are rounded to a multiple of it.
    gate: 'hard_sigmoid' (relu6(x + 3) / 6, MobileNetV3) or 'sigmoid'.
    activation: between the two convolutions.
  """

  ratio: float = 0.25
  of: str = 'expanded'
  divisor: int = 8
  gate: str = 'hard_sigmoid'
  activation: str = 'relu'

  def filters(self, input_filters: int, expanded_filters: int) -> int:
    """Squeeze filters of a block with these input and expanded filters."""
    base = expanded_filters if self.of == 'expanded' else input_filters
    return round_filters(base * self.ratio, self.divisor)


@dataclasses.dataclass(frozen=True)
class Stem:
  """First convolution (k x k, batch norm, activation)."""

  filters: int = 32
  kernel: int = 3
  stride: int = 2
  activation: str = 'relu6'


@dataclasses.dataclass(frozen=True)
class Block:
  """Inverted residual: 1x1 expansion, k x k depthwise, squeeze, 1x1 projection.

  The input is added to the output where the stride is 1 and both have the same
  number of filters (MobileNetV2, section 3).

  Attributes:
    filters: base filters, i.e. those of the block's output.
    expanded: filters of the depthwise convolution; 0 means that there is no
      expansion convolution and the depthwise one acts on the input's filters
      (the first block of MobileNetV2 and V3).
    kernel: side of the depthwise kernel, odd.
    stride: of the depthwise convolution.
    activation: after expansion and depthwise convolution; none after the
      projection.
    squeeze: squeeze-and-excite after the depthwise convolution, or None.
  """

  filters: int
  expanded: int
  kernel: int = 3
  stride: int = 1
  activation: str = 'relu6'
  squeeze: Squeeze | None = None

  def depthwise_filters(self, input_filters: int) -> int:
    """Filters of the depthwise convolution."""
    return self.expanded or input_filters

  def has_residual(self, input_filters: int) -> bool:
    """Whether the input is added to the output."""
    return self.stride == 1 and input_filters == self.filters


@dataclasses.dataclass(frozen=True)
class Head:
  """1x1 convolution with batch norm, mean pool, dense layers.

  Attributes:
    filters: of the 1x1 convolution before the pool; 0 means none.
    hidden: width of the dense layer (bias, no batch norm) between pool and
      classifier (MobileNetV3); 0 means none.
    activation: after the convolution and after the hidden layer.
  """

  filters: int = 1280
  hidden: int = 0
  activation: str = 'relu6'


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
  """A whole network: stem, inverted residual blocks, head."""

  stem: Stem
  blocks: tuple[Block, ...]
  head: Head

  @property
  def total_stride(self) -> int:
    """Product of all strides: the side of the image that maps to one pixel."""
    stride = self.stem.stride
    for block in self.blocks:
      stride *= block.stride
    return stride

  def input_filters(self, block: int) -> int:
    """Filters that block number `block` receives."""
    return self.blocks[block - 1].filters if block else self.stem.filters

  def to_dict(self) -> dict[str, Any]:
    """A dict of JSON types that `spec_from_dict` reads back."""
    return dataclasses.asdict(self) | {
        'blocks': [dataclasses.asdict(block) for block in self.blocks]
    }


def round_filters(filters: float, divisor: int = 8) -> int:
  """Rounds to a multiple of `divisor`, never below 90 % of `filters`.

  The rule of the MobileNet reference code: nearest multiple, at least one
  divisor, one multiple more where rounding down would lose over 10 %.
  """
  rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
  return rounded + divisor if rounded < 0.9 * filters else rounded
