"""Cost metrics of networks by name: registered ones, and `module:function`.

A metric is a function of a space, the side of its images in pixels and the
number of classes. It returns the exact cost of all networks of the space as a
`Cost`; `NetworkSpace.priced` makes one from the prices of modules. A metric of
your own gets `cost.settings` as keyword arguments.
"""

import math
from collections.abc import Mapping
from typing import Any

from layernas import lookup
from layernas.errors import UserError
from layernas.networks.interface import Space
from layernas.networks.latency import COMMAND
from layernas.networks.latency import latency_cost
from layernas.networks.latency import read_latency_table
from layernas.search.cost import Cost
from layernas.search.cost import FactoredCost
from layernas.search.cost import Number
from layernas.search.problem import Limit


def madds(
    space: Space, image_size: int, num_classes: int
) -> FactoredCost:
  """Multiply-adds of a network for one image."""
  return space.cost('madds', image_size, num_classes)


def params(
    space: Space, image_size: int, num_classes: int
) -> FactoredCost:
  """Parameters of a network."""
  return space.cost('params', image_size, num_classes)


def latency(
    space: Space, image_size: int, num_classes: int, latency_table: str
) -> FactoredCost:
  """Milliseconds of a network: the sum over its modules in a table, or a fit.

  Args:
    space: space of the networks.
    image_size: side of the images in pixels.
    num_classes: width of the classifier.
    latency_table: path of the CSV file.

  Returns:
    The cost.

  Raises:
    UserError: there is no such file, or it does not fit the space.
  """
  if not latency_table:
    raise UserError(
        "cost.latency_table: '': with cost.metric 'latency', allowed is a CSV"
        f' file, such as {COMMAND} writes'
    )
  table = read_latency_table(latency_table)
  return latency_cost(space, table, image_size, num_classes)


COSTS: lookup.Registry = {'madds': madds, 'params': params, 'latency': latency}
"""Registered metrics; their further arguments are fields of the section."""


def configured_cost(
    section: Any, space: Space, image_size: int, num_classes: int
) -> Cost:
  """The cost that a config section describes.

  Args:
    section: a ConfigDict with the fields of the section `cost` in
      configs/default.py.
    space: space of the networks.
    image_size: side of the images in pixels.
    num_classes: width of the classifier.

  Returns:
    The cost.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  field, name = 'cost.metric', section.metric
  settings = lookup.settings_of(field, name, COSTS, section.settings, section)
  return _named_cost(field, name, settings, space, image_size, num_classes)


def configured_limits(
    limits: Mapping[str, Any], section: Any, space: Space, image_size: int,
    num_classes: int,
) -> tuple[Limit, ...]:
  """The limits on further costs that a config section describes.

  Args:
    limits: the section `limits` of configs/default.py: largest values by
      metric, 0 for no limit.
    section: `cost`, for a metric that has fields there.
    space: space of the networks.
    image_size: side of the images in pixels.
    num_classes: width of the classifier.

  Returns:
    The limits, in the order of their names.

  Raises:
    UserError: names the metric, its limit and what is allowed.
  """
  found = []
  for name, high in further_limits(limits).items():
    field = f'limits.{name}'
    settings = lookup.settings_of(field, name, COSTS, {}, section)
    found.append(Limit(_named_cost(
        field, name, settings, space, image_size, num_classes
    ), high))
  return tuple(found)


def further_limits(limits: Mapping[str, Any]) -> dict[str, Number]:
  """The limits that a config section holds.

  Args:
    limits: the section `limits` of configs/default.py.

  Returns:
    Largest values by metric, in the order of their names; those of 0, which
    are no limits, are left out.

  Raises:
    UserError: names the limit that is no number.
  """
  for name, high in limits.items():
    if isinstance(high, bool) or not isinstance(high, int | float) or (
        math.isnan(high)
    ):
      raise UserError(
          f'limits.{name}: {high!r}: allowed is a number, 0 for no limit'
      )
  return {name: high for name, high in sorted(limits.items()) if high}


def _named_cost(
    field: str, name: str, settings: Mapping[str, Any], space: Space,
    image_size: int, num_classes: int,
) -> Cost:
  """The cost by a metric that a field names."""
  cost = lookup.call(
      lookup.find(field, name, COSTS), 'cost.settings', settings, space,
      image_size, num_classes,
  )
  if not isinstance(cost, Cost) or cost.space != space.search_space:
    raise lookup.unfit(
        field, name, cost,
        'a layernas.search.Cost of the space that it was given',
    )
  return cost
