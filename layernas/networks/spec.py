"""Networks as plain data.

A `NetworkSpec` (stem, blocks, head) has everything that determines a network's
shape except the image size and the number of classes, which belong to the data
set. This module counts a spec, writes it to JSON and reads it back, without
JAX. The Flax builder (`layernas.models`) reads the same spec, so the counted
network is the trained one.

A block type is one class: a frozen dataclass that extends `Block`. It names its
Flax module, which is imported when a network is built. `InvertedResidual` is
the block type of the package; examples/own_block.py has one outside of it.
"""

import abc
import dataclasses
import functools
import math
import typing
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import ClassVar
from typing import Self
from typing import TypeVar

from layernas import lookup
from layernas.errors import UserError
from layernas.networks import counting
from layernas.networks.counting import Counts
from layernas.networks.counting import output_size
from layernas.networks.network import NetworkLike
from layernas.plain import is_integer
from layernas.plain import is_number
from layernas.plain import plain
from layernas.plain import plain_fields

ACTIVATIONS = ('relu', 'relu6', 'hard_swish', 'swish')
GATES = ('hard_sigmoid', 'sigmoid')

IMAGE_FILTERS = 3
"""Filters of the stem's input: the colours."""


@dataclasses.dataclass(frozen=True)
class Rule:
  """A rule for the values of a field of a spec.

  Attributes:
    allowed: text that an error message has after 'allowed'.
    holds: returns whether a value in JSON types is allowed.
  """

  allowed: str
  holds: Callable[[Any], bool]


def integer(least: int = 1, odd: bool = False) -> Rule:
  """Rule for integers from `least` on, or only odd ones."""
  return Rule(
      f'is an {"odd " if odd else ""}integer >= {least}',
      lambda value: is_integer(value) and value >= least
      and (value % 2 == 1 or not odd),
  )


def one_of(choices: Sequence[str]) -> Rule:
  """Rule for one of several names."""
  return Rule(f'are {list(choices)}', lambda value: value in choices)


def _is_number(value: Any) -> bool:
  return is_number(value) and abs(value) < math.inf


SHARE = Rule(
    'is a number, 0 < x <= 1',
    lambda value: _is_number(value) and 0 < value <= 1,
)
"""Rule for a share of a whole."""

_RULES = {
    bool: Rule('is true or false', lambda value: isinstance(value, bool)),
    int: integer(),
    float: Rule('is a number', _is_number),
    str: Rule('is a text', lambda value: isinstance(value, str)),
}
"""Rules of fields that name none, by their type."""


def limited(rule: Rule, **default: Any) -> Any:
  """A dataclass field with a rule.

  Args:
    rule: rule that is checked when a spec is read from JSON and when a space
      sets the field.
    **default: `default`, if the field has one.

  Returns:
    The field.
  """
  return dataclasses.field(metadata={'rule': rule}, **default)


@dataclasses.dataclass(frozen=True)
class ModuleInput:
  """The input of a module in a network.

  Attributes:
    input_filters: filters of the input.
    size: side of the input, in pixels.
    num_classes: width of the network's classifier.
  """

  input_filters: int
  size: int
  num_classes: int


class Module(abc.ABC):
  """The base of stems, blocks and heads, which are frozen dataclasses.

  Attributes:
    kind: first word of the signatures, different for each type.
    stride: factor by which it divides the side of its input.
    filters: filters of its output; see `Head` for those of a head.
  """

  kind: ClassVar[str]
  stride: int
  filters: int

  @abc.abstractmethod
  def counts(self, inputs: ModuleInput) -> Counts:
    """MAdds, parameters and buffers, equal to those of the Flax module."""

  def signature(self, inputs: ModuleInput) -> Mapping[str, object]:
    """Fields that determine the work beside kind and input, for latencies.

    Args:
      inputs: input of the module.

    Returns:
      Values by name, which print without commas and quotes; here all fields.
    """
    del inputs
    return {
        field.name: getattr(self, field.name)
        for field in dataclasses.fields(self)
    }

  def scaled(self, scale: Callable[[int], int]) -> Self:
    """The module with other numbers of filters.

    Args:
      scale: takes a number of filters, returns the new one; 0 stays 0.

    Returns:
      The module; here only `filters` is scaled.
    """
    return dataclasses.replace(self, filters=scale(self.filters))


@dataclasses.dataclass(frozen=True)
class Stem(Module):
  """First convolution (k x k, batch norm, activation)."""

  kind = 'stem'

  filters: int = 32
  kernel: int = limited(integer(odd=True), default=3)
  stride: int = 2
  activation: str = limited(one_of(ACTIVATIONS), default='relu6')

  def counts(self, inputs: ModuleInput) -> Counts:
    """See `Module`."""
    size = output_size(inputs.size, self.stride)
    return counting.normed_conv(
        size, self.kernel**2 * inputs.input_filters, self.filters
    )


class Block(Module):
  """A block between stem and head; the base of all block types.

  A type is a frozen dataclass with the fields `filters` and `stride` and fields
  of its own: integers (from 1 on, unless `limited` says otherwise), numbers,
  texts, bools, and dataclasses of these, which may be None. No field may be
  called `type`, the key of the block's type in JSON.

  Attributes:
    flax_module: 'module:Class' of a `layernas.models.blocks.BlockModule`.
  """

  flax_module: ClassVar[str]

  def __init_subclass__(cls, **options: Any) -> None:
    super().__init_subclass__(**options)
    if 'kind' not in vars(cls):
      cls.kind = f'{cls.__module__}:{cls.__qualname__}'

  def __new__(cls, *values: Any, **fields: Any) -> 'Block':
    """With fields of no named type it is the usual one, as in version 0.1."""
    usual = cls is Block and (values or fields)
    return super().__new__(InvertedResidual if usual else cls)


@dataclasses.dataclass(frozen=True)
class Squeeze:
  """Squeeze-and-excite part of a block.

  Attributes:
    ratio: squeeze filters as a share of the filters named by `of`.
    of: filters that the ratio refers to: 'expanded' (MobileNetV3) or 'input'
      (MnasNet: the block's input).
    divisor: number to whose multiples the squeeze filters are rounded.
    gate: 'hard_sigmoid' (relu6(x + 3) / 6, MobileNetV3) or 'sigmoid'.
    activation: activation between the two convolutions.
  """

  ratio: float = limited(SHARE, default=0.25)
  of: str = limited(one_of(('expanded', 'input')), default='expanded')
  divisor: int = 8
  gate: str = limited(one_of(GATES), default='hard_sigmoid')
  activation: str = limited(one_of(ACTIVATIONS), default='relu')

  def filters(self, input_filters: int, expanded_filters: int) -> int:
    """Squeeze filters of a block with these input and expanded filters."""
    base = expanded_filters if self.of == 'expanded' else input_filters
    return round_filters(base * self.ratio, self.divisor)


@dataclasses.dataclass(frozen=True)
class InvertedResidual(Block):
  """1x1 expansion, k x k depthwise, squeeze, 1x1 projection.

  The input is added to the output if the stride is 1 and both have the same
  number of filters (MobileNetV2, section 3).

  Attributes:
    filters: base filters, i.e. those of the block's output.
    expanded: filters of the depthwise convolution; 0 means that there is no
      expansion convolution and the depthwise one acts on the input's filters
      (the first block of MobileNetV2 and V3).
    kernel: side of the depthwise kernel, odd.
    stride: stride of the depthwise convolution.
    activation: after expansion and depthwise convolution; none after the
      projection.
    squeeze: squeeze-and-excite after the depthwise convolution, or None.
  """

  kind = 'block'
  flax_module = 'layernas.models.blocks:InvertedResidualModule'

  filters: int
  expanded: int = limited(integer(least=0))
  kernel: int = limited(integer(odd=True), default=3)
  stride: int = 1
  activation: str = limited(one_of(ACTIVATIONS), default='relu6')
  squeeze: Squeeze | None = None

  def depthwise_filters(self, input_filters: int) -> int:
    """Filters of the depthwise convolution."""
    return self.expanded or input_filters

  def has_residual(self, input_filters: int) -> bool:
    """Whether the input is added to the output."""
    return self.stride == 1 and input_filters == self.filters

  def counts(self, inputs: ModuleInput) -> Counts:
    """See `Module`."""
    filters = self.depthwise_filters(inputs.input_filters)
    size = output_size(inputs.size, self.stride)
    counts = counting.normed_conv(size, self.kernel**2, filters)
    if self.expanded:
      counts += counting.normed_conv(inputs.size, inputs.input_filters, filters)
    if self.squeeze:
      units = self.squeeze.filters(inputs.input_filters, filters)
      counts += counting.dense(filters, units) + counting.dense(units, filters)
    return counts + counting.normed_conv(size, filters, self.filters)

  def signature(self, inputs: ModuleInput) -> Mapping[str, object]:
    """See `Module`; squeeze filters are given as their number."""
    fields = dict(super().signature(inputs))
    squeeze = fields.pop('squeeze')
    if squeeze:
      depthwise = self.depthwise_filters(inputs.input_filters)
      fields |= {
          'squeeze': squeeze.filters(inputs.input_filters, depthwise),
          'gate': squeeze.gate,
          'squeeze_activation': squeeze.activation,
      }
    return fields

  def scaled(self, scale: Callable[[int], int]) -> Self:
    """See `Module`; the expanded filters are scaled, too."""
    return dataclasses.replace(
        self, filters=scale(self.filters), expanded=scale(self.expanded)
    )


@dataclasses.dataclass(frozen=True)
class Head(Module):
  """1x1 convolution with batch norm, mean pool, dense layers.

  Attributes:
    filters: filters of the 1x1 convolution before the pool; 0 means none.
    hidden: width of the dense layer (bias, no batch norm) between pool and
      classifier (MobileNetV3); 0 means none.
    activation: after the convolution and after the hidden layer.
  """

  kind = 'head'
  stride: ClassVar[int] = 1

  filters: int = limited(integer(least=0), default=1280)
  hidden: int = limited(integer(least=0), default=0)
  activation: str = limited(one_of(ACTIVATIONS), default='relu6')

  def counts(self, inputs: ModuleInput) -> Counts:
    """See `Module`; the classifier is part of the head."""
    counts, width = Counts(), inputs.input_filters
    if self.filters:
      counts += counting.normed_conv(inputs.size, width, self.filters)
      width = self.filters
    if self.hidden:
      counts += counting.dense(width, self.hidden)
      width = self.hidden
    return counts + counting.dense(width, inputs.num_classes)

  def signature(self, inputs: ModuleInput) -> Mapping[str, object]:
    """See `Module`; with the classes, and without fields of no effect."""
    fields = dict(super().signature(inputs))
    if not self.filters and not self.hidden:
      del fields['activation']
    return fields | {'classes': inputs.num_classes}

  def scaled(self, scale: Callable[[int], int]) -> Self:
    """See `Module`; the hidden layer is scaled, too."""
    return dataclasses.replace(
        self, filters=scale(self.filters), hidden=scale(self.hidden)
    )


@dataclasses.dataclass(frozen=True)
class NetworkSpec(NetworkLike):
  """A network: stem, blocks, head; NumPy's numbers become Python's."""

  flax_module = 'layernas.models.network:of_config'

  stem: Stem
  blocks: tuple[Block, ...]
  head: Head

  def __post_init__(self) -> None:
    object.__setattr__(self, 'stem', plain_fields(self.stem))
    object.__setattr__(self, 'blocks', tuple(map(plain_fields, self.blocks)))
    object.__setattr__(self, 'head', plain_fields(self.head))

  @property
  def modules(self) -> dict[str, Module]:
    """Modules by name in forward order: 'stem', 'block0', ..., 'head'."""
    blocks = {f'block{i}': block for i, block in enumerate(self.blocks)}
    return {'stem': self.stem, **blocks, 'head': self.head}

  @property
  def total_stride(self) -> int:
    """Product of all strides: the side of the image that maps to one pixel."""
    return math.prod(module.stride for module in self.modules.values())

  def input_filters(self, block: int) -> int:
    """Filters that block number `block` receives."""
    return self.blocks[block - 1].filters if block else self.stem.filters

  def module_inputs(
      self, image_size: int, num_classes: int
  ) -> Iterator[tuple[Module, ModuleInput]]:
    """Every module with its input, in forward order.

    Args:
      image_size: side of the RGB images.
      num_classes: width of the classifier.

    Yields:
      Module and its input.
    """
    filters, size = IMAGE_FILTERS, image_size
    for module in self.modules.values():
      yield module, ModuleInput(filters, size, num_classes)
      filters, size = module.filters, output_size(size, module.stride)

  def counts(self, image_size: int, num_classes: int) -> Counts:
    """See `NetworkLike`."""
    return sum(
        (module.counts(inputs)
         for module, inputs in self.module_inputs(image_size, num_classes)),
        Counts(),
    )

  def check_images(self, image_size: int) -> None:
    """See `NetworkLike`: the strides must leave a whole pixel."""
    if image_size < self.total_stride:
      raise UserError(
          f'data.image_size: {image_size}: too small for the strides of the'
          f' network; allowed is at least {self.total_stride}'
      )

  def essence(self) -> dict[str, Any]:
    """See `NetworkLike`."""
    return essence(self)

  def to_dict(self) -> dict[str, Any]:
    """A dict of JSON types that `spec_from_dict` reads back."""
    return {
        'stem': dataclasses.asdict(self.stem),
        'blocks': [_block_to_dict(block) for block in self.blocks],
        'head': dataclasses.asdict(self.head),
    }


def json_of(value: Any) -> Any:
  """A field's value as JSON types.

  Args:
    value: any value.

  Returns:
    The `essence` of specs and their parts, Python's numbers for NumPy's, and
    the `repr` of what JSON does not know.
  """
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    return json_of(essence(value))
  if isinstance(value, Mapping):
    return {name: json_of(each) for name, each in value.items()}
  if isinstance(value, list | tuple):
    return list(map(json_of, value))
  value = plain(value)
  return value if isinstance(value, int | float | str | None) else repr(value)


def essence(spec: Any) -> dict[str, Any]:
  """A network as JSON types, without the fields that have their defaults.

  The result stays the same when a later version adds fields to modules.

  Args:
    spec: a NetworkSpec, one of its modules or a part of a module.

  Returns:
    JSON types; 'type' names the class.
  """
  if isinstance(spec, NetworkSpec):
    return {
        'stem': essence(spec.stem), 'blocks': list(map(essence, spec.blocks)),
        'head': essence(spec.head),
    }
  said = {'type': _type_name(type(spec))}
  for field in dataclasses.fields(spec):
    value = getattr(spec, field.name)
    if value != field.default:
      nested = dataclasses.is_dataclass(value)
      said[field.name] = essence(value) if nested else value
  return said


def round_filters(filters: float, divisor: int = 8) -> int:
  """Rounds to a multiple of `divisor`, never below 90 % of `filters`.

  This is the rule of the MobileNet reference code: nearest multiple, at least
  one divisor, one multiple more if rounding down would lose over 10 %.
  """
  rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
  return rounded + divisor if rounded < 0.9 * filters else rounded


BLOCK_TYPES: dict[str, type[Block]] = {'inverted_residual': InvertedResidual}
"""Block types by their names in JSON; others are 'module:Class'."""

_USUAL_TYPE = 'inverted_residual'
"""Type of a block whose JSON names none; it is not written to JSON."""


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


def check_module(module: Module, where: str) -> None:
  """Checks every field of a module.

  Args:
    module: stem, block or head.
    where: name of the module in messages.

  Raises:
    UserError: a field has a value that is not allowed.
  """
  if isinstance(module, Block):
    _read_block(_block_to_dict(module), where)
  else:
    _read(type(module), dataclasses.asdict(module), where)


def _type_name(cls: type) -> str:
  """The registered name of a class, or module:Class of one of the user's."""
  names: dict[Any, str] = {
      Stem: 'stem', Head: 'head', Squeeze: 'squeeze',
      **{known: name for name, known in BLOCK_TYPES.items()},
  }
  return names.get(cls, f'{cls.__module__}:{cls.__qualname__}')


def _block_to_dict(block: Block) -> dict[str, Any]:
  name = _type_name(type(block))
  fields = dataclasses.asdict(block)
  return fields if name == _USUAL_TYPE else {**fields, 'type': name}


def _read_block(values: Any, where: str) -> Block:
  name = _USUAL_TYPE
  if isinstance(values, Mapping) and 'type' in values:
    values = dict(values)
    name = values.pop('type')
  field = f'{where}.type'
  if not isinstance(name, str):
    raise UserError(
        f'{field}: {name!r}: allowed are {list(BLOCK_TYPES)}, or module:Class'
    )
  cls = lookup.find(field, name, BLOCK_TYPES)
  if not (
      isinstance(cls, type) and issubclass(cls, Block)
      and dataclasses.is_dataclass(cls)
  ):
    raise UserError(
        f'{field}: {name!r}: allowed is a dataclass that extends'
        ' layernas.networks.spec.Block'
    )
  return _read(cls, values, where)


_T = TypeVar('_T')


def _read(cls: type[_T], values: Any, where: str) -> _T:
  """Builds a dataclass from a mapping with exactly its fields."""
  types = _field_types(cls)
  _check_keys(values, set(types), where)
  return cls(**{
      name: _read_value(kind, rule, values[name], f'{where}.{name}')
      for name, (kind, rule) in types.items()
  })


@functools.cache
def _field_types(cls: type) -> dict[str, tuple[Any, Rule | None]]:
  """Type and rule of each field; a space reads thousands of blocks."""
  hints = typing.get_type_hints(cls)
  return {
      field.name: (hints[field.name], field.metadata.get('rule'))
      for field in dataclasses.fields(cls)
  }


def _read_value(kind: Any, rule: Rule | None, value: Any, where: str) -> Any:
  """The value of a field of some type."""
  value = plain(value)
  choices = typing.get_args(kind)
  if type(None) in choices:
    if value is None:
      return None
    [kind] = (choice for choice in choices if choice is not type(None))
  if dataclasses.is_dataclass(kind):
    return _read(kind, value, where)
  rule = rule or _RULES[kind]
  if not rule.holds(value):
    raise UserError(f'{where}: {value!r}: allowed {rule.allowed}')
  return value


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
