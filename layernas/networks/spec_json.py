"""Reads a `NetworkSpec` back from JSON types, checking every field."""

import dataclasses
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from layernas.errors import UserError
from layernas.networks import spec as spec_lib

_T = TypeVar('_T')

_CHOICES = {
    'activation': spec_lib.ACTIVATIONS,
    'gate': spec_lib.GATES,
    'of': ('expanded', 'input'),
}
# Integer fields that may be zero ("none"); all others start at one.
_ZERO_ALLOWED = frozenset({'expanded', 'hidden'})


def spec_from_dict(values: Mapping[str, Any]) -> spec_lib.NetworkSpec:
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
  return spec_lib.NetworkSpec(
      stem=_read(spec_lib.Stem, values['stem'], 'network.stem'),
      blocks=tuple(
          _read_block(block, f'network.blocks[{index}]')
          for index, block in enumerate(blocks)
      ),
      head=_read(spec_lib.Head, values['head'], 'network.head'),
  )


def _read_block(values: Any, where: str) -> spec_lib.Block:
  squeeze = values.get('squeeze') if isinstance(values, Mapping) else None
  block = _read(spec_lib.Block, values, where, skip=('squeeze',))
  if squeeze is None:
    return block
  return dataclasses.replace(
      block, squeeze=_read(spec_lib.Squeeze, squeeze, f'{where}.squeeze')
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
