"""Values of NumPy and JAX as Python's own, which JSON holds; their types."""

import dataclasses
from typing import Any

from layernas.errors import UserError


def plain(value: Any) -> Any:
  """A number, bool or text of NumPy as Python's own; all else as it is.

  Args:
    value: anything; an array without dimensions is its one number.

  Returns:
    The value, of a type of Python where there is one.
  """
  if getattr(value, 'shape', None) == () and hasattr(value, 'item'):
    return value.item()
  return value


def plain_fields(value: Any) -> Any:
  """A dataclass whose fields, and those of dataclasses in them, are plain.

  Args:
    value: a dataclass; anything else is treated as `plain` does.

  Returns:
    The same object where there is nothing to change.
  """
  if not dataclasses.is_dataclass(value):
    return plain(value)
  fields = {
      field.name: getattr(value, field.name)
      for field in dataclasses.fields(value) if field.init
  }
  changed = {}
  for name, before in fields.items():
    after = plain_fields(before)
    if after is not before:
      changed[name] = after
  return dataclasses.replace(value, **changed) if changed else value


def is_number(value: Any) -> bool:
  """Whether a value is an integer or float of Python; a bool is neither."""
  return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
  """Whether a value is an integer of Python; a bool is none."""
  return isinstance(value, int) and not isinstance(value, bool)


def check_integers(section: str, least: int = 1, **values: Any) -> None:
  """Checks settings that are integers.

  Args:
    section: of a config that has the fields, or the name of their owner.
    least: smallest one allowed.
    **values: by the names of the fields.

  Raises:
    UserError: one is no integer, or too small; names the field.
  """
  for name, value in values.items():
    if not is_integer(plain(value)) or value < least:
      raise UserError(
          f'{section}.{name}: {value!r}: allowed are integers >= {least}'
      )
