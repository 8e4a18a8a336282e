"""What a MobileNet-style network is, as plain data.

A `NetworkSpec` holds everything that decides a network's shape except the
image size and the number of classes, which belong to the data set. The Flax
builder (`layernas.models`) and the counter (`layernas.networks.counting`) read
the same spec, so that what is counted is what is trained.

Reads a `NetworkSpec` back from JSON types, checking every field.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from layernas.errors import UserError

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


_T = TypeVar('_T')

_CHOICES = {
    'activation': ACTIVATIONS,
    'gate': GATES,
    'of': ('expanded', 'input'),
}
# Integer fields that may be zero ("none"); all others start at one.
_ZERO_ALLOWED = frozenset({'expanded', 'hidden'})


def spec_from_dict(values: Mapping[str, Any]) -> NetworkSpec:
  """Inverse of `NetworkSpec.to_dict`.

  Args:
    values: dict with keys stem, blocks, head.

  Returns:
    The spec.

  Raises:
    UserError: a field is missing, unknown, of the wrong type or out of range;
      the message names it.
  """
  _check_keys(values, {'stem', 'blocks', 'head'}, 'network')
  blocks = values['blocks']
  if not isinstance(blocks, list | tuple) or not blocks:
    raise UserError(
        f'network.blocks: {blocks!r}: allowed is a list of at least one block'
    )
  return NetworkSpec(
      stem=_read(Stem, values['stem'], 'network.stem'),
      blocks=tuple(
          _read_block(block, f'network.blocks[{index}]')
          for index, block in enumerate(blocks)
      ),
      head=_read(Head, values['head'], 'network.head'),
  )


def _read_block(values: Any, where: str) -> Block:
  squeeze = values.get('squeeze') if isinstance(values, Mapping) else None
  block = _read(Block, values, where, skip=('squeeze',))
  if squeeze is None:
    return block
  return dataclasses.replace(
      block, squeeze=_read(Squeeze, squeeze, f'{where}.squeeze')
  )


def _read(
    cls: type[_T], values: Any, where: str, skip: tuple[str, ...] = ()
) -> _T:
  """Builds a dataclass from a mapping with exactly its fields."""
  fields = {field.name: field for field in dataclasses.fields(cls)}
  _check_keys(values, set(fields), where)
  read = {
      name: _check_value(name, value, fields[name].type, where)
      for name, value in values.items()
      if name not in skip
  }
  return cls(**read)


def _check_keys(values: Any, allowed: set[str], where: str) -> None:
  if not isinstance(values, Mapping):
    raise UserError(
        f'{where}: {values!r}: allowed is a dict of {sorted(allowed)}'
    )
  if set(values) != allowed:
    raise UserError(
        f'{where}: fields {sorted(map(str, values))}: allowed are exactly'
        f' {sorted(allowed)}'
    )


def _check_value(name: str, value: Any, kind: Any, where: str) -> Any:
  """Returns `value` if the field may hold it."""
  if name in _CHOICES:
    if value not in _CHOICES[name]:
      raise UserError(
          f'{where}.{name}: {value!r}: allowed are {list(_CHOICES[name])}'
      )
  elif kind is float:
    if isinstance(value, bool) or not isinstance(value, int | float):
      raise UserError(f'{where}.{name}: {value!r}: allowed is a number')
    if not 0 < value <= 1:
      raise UserError(f'{where}.{name}: {value!r}: allowed is 0 < x <= 1')
  else:
    least = 0 if name in _ZERO_ALLOWED or (
        name == 'filters' and where == 'network.head'
    ) else 1
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
      raise UserError(
          f'{where}.{name}: {value!r}: allowed is an integer >= {least}'
      )
    if name == 'kernel' and value % 2 == 0:
      raise UserError(f'{where}.kernel: {value!r}: allowed is an odd integer')
  return value
