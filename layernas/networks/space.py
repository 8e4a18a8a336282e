"""Search spaces whose architectures are MobileNet-style networks.

A space is a base network and a list of layers; an option of a layer is a dict
of fields that it sets in the modules which the layer targets. From that follow
the network of an architecture and, because a module's cost depends only on the
few layers that touch it or its input, an exact cost model with its bounds.
"""

import dataclasses
import itertools
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.errors import UserError
from layernas.networks import counting
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem
from layernas.networks.spec_json import spec_from_dict
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.space import Architecture
from layernas.search.space import Layer
from layernas.search.space import SearchSpace

METRICS = {'madds': 'MAdds', 'params': 'parameters'}
"""Cost metrics of a network and their units."""


@dataclasses.dataclass(frozen=True)
class NetworkLayer:
  """A layer of a network space.

  Attributes:
    name: unique within the space.
    targets: names of the modules that an option changes: 'stem', 'block0',
      'block1', ..., 'head'.
    options: each a dict of fields of the targets and their values.
    default: index of the option that stands while the layer is undecided.
  """

  name: str
  targets: tuple[str, ...]
  options: tuple[Mapping[str, Any], ...]
  default: int = 0

  @property
  def fields(self) -> frozenset[str]:
    """Fields that some option sets."""
    return frozenset(itertools.chain.from_iterable(self.options))


class NetworkSpace:
  """A search space over networks.

  Attributes:
    base: the network whose fields stand where no layer sets them.
    layers: in forward order.
    search_space: the same layers for the search half.
  """

  def __init__(self, base: NetworkSpec, layers: Iterable[NetworkLayer]):
    """Checks every option of every layer.

    Args:
      base: network to start from.
      layers: at least one.

    Raises:
      UserError: a layer or an option is not applicable; the message names it.
    """
    self.base = base
    self.layers = tuple(layers)
    self.search_space = SearchSpace(
        Layer(layer.name, layer.options, layer.default)
        for layer in self.layers
    )
    self._modules = _modules_of(base)
    self._check_layers()

  def network(self, architecture: Architecture) -> NetworkSpec:
    """The network of an architecture.

    Args:
      architecture: one option index per layer.

    Returns:
      Its spec.

    Raises:
      UserError: it is not of this space.
    """
    self.search_space.check(architecture)
    modules = {
        name: self._module(name, architecture) for name in self._modules
    }
    return NetworkSpec(
        stem=modules['stem'],
        blocks=tuple(
            modules[f'block{index}'] for index in range(len(self.base.blocks))
        ),
        head=modules['head'],
    )

  def cost(
      self, metric: str, image_size: int, num_classes: int
  ) -> FactoredCost:
    """Exact cost model of this space.

    Args:
      metric: a key of `METRICS`.
      image_size: side of the images in pixels.
      num_classes: width of the classifier.

    Returns:
      One factor per module.

    Raises:
      UserError: unknown metric, or images too small for the strides.
    """
    if metric not in METRICS:
      raise UserError(f'cost.metric: {metric!r}: allowed are {list(METRICS)}')
    check_image_size(self.base, image_size)
    factors = []
    names = list(self._modules)
    size = image_size
    for before, name in zip([None, *names], names, strict=False):
      factors.append(
          self._factor(name, before, metric, size, num_classes)
      )
      stride = getattr(self._modules[name], 'stride', 1)
      size = counting.output_size(size, stride)
    return FactoredCost(metric, self.search_space, factors, METRICS[metric])

  def _factor(
      self, name: str, before: str | None, metric: str, size: int,
      num_classes: int,
  ) -> Factor:
    """Cost of one module over the layers that touch it or its input."""
    scope = tuple(
        index for index, layer in enumerate(self.layers)
        if name in layer.targets
        or (before in layer.targets and 'filters' in layer.fields)
    )
    counts = [self.search_space.option_counts[index] for index in scope]
    table = np.empty(counts, np.int64)
    architecture = list(self.search_space.default)
    for choice in itertools.product(*map(range, counts)):
      for index, option in zip(scope, choice, strict=True):
        architecture[index] = option
      module = self._module(name, architecture)
      filters = self._module(before, architecture).filters if before else 3
      counts_of = _count_module(module, filters, size, num_classes)
      table[choice] = getattr(counts_of, metric)
    return Factor(scope, table)

  def _module(self, name: str, architecture: Any) -> Stem | Block | Head:
    fields: dict[str, Any] = {}
    for layer, option in zip(self.layers, architecture, strict=True):
      if name in layer.targets:
        fields |= layer.options[option]
    module = self._modules[name]
    return dataclasses.replace(module, **fields) if fields else module

  def _check_layers(self) -> None:
    taken: dict[tuple[str, str], str] = {}
    for layer in self.layers:
      for target in layer.targets:
        if target not in self._modules:
          raise UserError(
              f'layer {layer.name!r}: target {target!r}: allowed are'
              f' {list(self._modules)}'
          )
        self._check_fields(layer, target)
        for field in layer.fields:
          other = taken.setdefault((target, field), layer.name)
          if other != layer.name:
            raise UserError(
                f'layer {layer.name!r}: {target}.{field} is set by layer'
                f' {other!r} already; allowed is one layer per field'
            )
    self._check_options()

  def _check_fields(self, layer: NetworkLayer, target: str) -> None:
    module = self._modules[target]
    # Strides stay: they change the cost of everything behind them.
    allowed = {field.name for field in dataclasses.fields(module)} - {'stride'}
    for option in layer.options:
      if set(option) != layer.fields or not layer.fields <= allowed:
        raise UserError(
            f'layer {layer.name!r}: option {dict(option)} for {target}: allowed'
            f' are the same fields in all options, out of {sorted(allowed)}'
        )

  def _check_options(self) -> None:
    default = self.search_space.default
    for index, layer in enumerate(self.layers):
      for option in range(len(layer.options)):
        changed = default[:index] + (option,) + default[index + 1:]
        try:
          spec_from_dict(self.network(changed).to_dict())
        except UserError as error:
          raise UserError(
              f'layer {layer.name!r}: option {dict(layer.options[option])}:'
              f' {error}'
          ) from error


def check_image_size(network: NetworkSpec, image_size: int) -> None:
  """Raises UserError where the strides leave less than one whole pixel."""
  if image_size < network.total_stride:
    raise UserError(
        f'data.image_size: {image_size}: too small for the strides of the'
        f' network; allowed is at least {network.total_stride}'
    )


def _modules_of(network: NetworkSpec) -> dict[str, Stem | Block | Head]:
  """Modules by name in forward order."""
  blocks = {f'block{i}': block for i, block in enumerate(network.blocks)}
  return {'stem': network.stem, **blocks, 'head': network.head}


def _count_module(
    module: Stem | Block | Head, input_filters: int, image_size: int,
    num_classes: int,
) -> counting.Counts:
  if isinstance(module, Stem):
    return counting.stem_counts(module, image_size)
  if isinstance(module, Block):
    return counting.block_counts(module, input_filters, image_size)
  return counting.head_counts(module, input_filters, image_size, num_classes)
