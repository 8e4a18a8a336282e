"""What the options of a layer are called where there is little room."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from layernas.search.space import Layer
from layernas.search.trace import option_text


def option_labels(layer: Layer) -> list[str]:
  """Short labels of a layer's options, no two of them alike.

  Of a part that a block has or lacks they say which of the two, such as
  'squeeze yes', unless options of the layer differ in what the part is.

  Args:
    layer: of a search space.

  Returns:
    A label for each option, in their order.
  """
  for label in (_short, option_text):
    labels = [label(option) for option in layer.options]
    if len(set(labels)) == len(labels):
      return labels
  return [f'{label} ({index})' for index, label in enumerate(labels)]


def _short(option: Any) -> str:
  if not isinstance(option, Mapping):
    return _value(option)
  return ', '.join(f'{name} {_value(value)}' for name, value in option.items())


def _value(value: Any) -> str:
  if value is None or value is False:
    return 'no'
  if value is True or (
      dataclasses.is_dataclass(value) and not isinstance(value, type)
  ):
    return 'yes'
  return str(value)
