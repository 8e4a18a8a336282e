"""Spaces by the name that a config gives them, and networks from JSON."""

from collections.abc import Mapping
from typing import Any

from layernas import lookup
from layernas.networks.interface import Space
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.network import NetworkLike
from layernas.networks.spec import spec_from_dict
from layernas.search.space import parse_network_id


def make_space(name: str) -> Space:
  """A network space by name.

  Args:
    name: a key of `mobilenet_spaces.SPACES`, or 'module:function' of a function
      without arguments that returns a NetworkSpace or a FlaxSpace.

  Returns:
    The space.

  Raises:
    UserError: there is no such space.
  """
  space = lookup.call(lookup.find('space', name, SPACES), 'space', {})
  if not isinstance(space, Space):
    raise lookup.unfit('space', name, space, 'a NetworkSpace or a FlaxSpace')
  space.name = name
  return space


def network_from_dict(values: Mapping[str, Any]) -> NetworkLike:
  """Inverse of `NetworkLike.to_dict`.

  Args:
    values: of a spec, or 'space' and 'architecture' of a network that a space
      makes; for one that is scaled, 'width' too.

  Returns:
    The network.

  Raises:
    UserError: a field is missing, unknown or wrong; the message names it.
  """
  if 'space' not in values:
    return spec_from_dict(values)
  space = make_space(values['space'])
  if 'width' in values:
    return space.default_scaled(values['width'], '', 0)
  return space.network(parse_network_id(values['architecture']))
