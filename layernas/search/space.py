"""Search spaces: ordered layers, each with options and one default."""

import dataclasses
import functools
import math
import re
from typing import Any

from layernas.errors import UserError
from layernas.plain import is_integer
from layernas.plain import plain

Architecture = tuple[int, ...]
"""One option index per layer."""

Network = Architecture | str
"""An architecture, or the name of a network that is not of the space."""


@dataclasses.dataclass(frozen=True)
class Layer:
  """One decision of the search.

  Attributes:
    name: unique within its space.
    options: labels of what can be chosen; the search sees only their number.
    default: index of the option that the layer has while it is undecided; the
      first option if none is given. The defaults of all layers make up the
      network from which a search starts (`SearchSpace.default`). Its cost and
      quality decide which networks the first layers are compared in, so give
      the options of a network that you know to be good.
  """

  name: str
  options: tuple[Any, ...]
  default: int = 0

  def __post_init__(self) -> None:
    object.__setattr__(self, 'options', tuple(map(plain, self.options)))
    object.__setattr__(self, 'default', plain(self.default))
    if not is_integer(self.default):
      raise UserError(
          f'layer {self.name!r}: default {self.default!r}: allowed is the index'
          ' of an option, an integer'
      )
    if not self.options:
      raise UserError(f'layer {self.name!r}: no options; allowed: at least one')
    if not 0 <= self.default < len(self.options):
      raise UserError(
          f'layer {self.name!r}: default {self.default}: allowed is an option'
          f' index from 0 to {len(self.options) - 1}'
      )


@dataclasses.dataclass(frozen=True)
class SearchSpace:
  """Ordered layers; an architecture takes one option of each.

  Attributes:
    layers: in the order in which a forward schedule decides them.
  """

  layers: tuple[Layer, ...]

  def __post_init__(self) -> None:
    object.__setattr__(self, 'layers', tuple(self.layers))
    if not self.layers:
      raise UserError('search space: no layers; allowed: at least one')
    names = [layer.name for layer in self.layers]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
      raise UserError(
          f'search space: layer names {repeated} occur more than once: allowed'
          ' are unique names'
      )

  def __len__(self) -> int:
    return len(self.layers)

  @functools.cached_property
  def option_counts(self) -> tuple[int, ...]:
    """Number of options of each layer."""
    return tuple(len(layer.options) for layer in self.layers)

  @functools.cached_property
  def default(self) -> Architecture:
    """Every layer at its default: the start network of most searches."""
    return tuple(layer.default for layer in self.layers)

  @property
  def size(self) -> int:
    """Number of architectures."""
    return math.prod(self.option_counts)

  def each_option(self) -> list[Architecture]:
    """The default network, and every network that differs in one layer."""
    return list(dict.fromkeys(
        self.default[:layer] + (option,) + self.default[layer + 1:]
        for layer, options in enumerate(self.option_counts)
        for option in range(options)
    ))

  def check(self, architecture: Architecture) -> None:
    """Raises UserError unless `architecture` is one of this space."""
    if len(architecture) != len(self):
      raise UserError(
          f'architecture {architecture}: {len(architecture)} options; allowed:'
          f' one for each of the {len(self)} layers'
      )
    for layer, option in zip(self.layers, architecture, strict=True):
      if not 0 <= option < len(layer.options):
        raise UserError(
            f'architecture {architecture}: option {option} of layer'
            f' {layer.name!r}: allowed is 0 to {len(layer.options) - 1}'
        )

  def describe(self, architecture: Architecture) -> dict[str, Any]:
    """The chosen options by the names of the layers."""
    return {
        layer.name: layer.options[option]
        for layer, option in zip(self.layers, architecture, strict=True)
    }


def architecture_id(network: Network) -> str:
  """The stable text form: option indices joined by dashes, or the name."""
  return network if isinstance(network, str) else '-'.join(map(str, network))


def parse_architecture_id(text: str) -> Architecture:
  """Inverse of `architecture_id`.

  Args:
    text: for example '0-3-1'.

  Returns:
    The architecture.

  Raises:
    UserError: the text has another form.
  """
  if not re.fullmatch(r'\d+(-\d+)*', text):
    raise UserError(
        f'architecture {text!r}: allowed are option indices joined by dashes,'
        ' such as 0-3-1'
    )
  return tuple(map(int, text.split('-')))


def parse_network_id(text: str) -> Network:
  """Inverse of `architecture_id` that also allows names.

  Args:
    text: for example '0-3-1', or 'width-scaled'.

  Returns:
    The architecture, or the name.

  Raises:
    UserError: the text has another form.
  """
  if re.fullmatch('[a-z]+(-[a-z]+)*', text):
    return text
  return parse_architecture_id(text)
