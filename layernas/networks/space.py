"""Search spaces whose architectures are networks.

A space is a base network and a list of layers; an option of a layer is a dict
of fields that it sets in the modules that the layer targets. These determine
the network of an architecture. They also determine an exact cost model with its
bounds, because a module's cost depends only on the few layers that change it or
its input.

Depth is an option, too: the field 'depth' says how many of a layer's targets
the network has. Blocks that can be left out change neither the size nor the
filters of their input, so nothing after them changes.

The work of a module in a network is described by its signature, a text that is
the key of latency tables. It contains the module's kind, the size and the
filters of its input, and every field that changes the work. Two modules have
the same signature exactly if they run the same operations.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernas.errors import UserError
from layernas.networks.counting import output_size
from layernas.networks.interface import METRICS
from layernas.networks.interface import Space
from layernas.networks.network import NetworkLike
from layernas.networks.pricing import Choices
from layernas.networks.pricing import Price
from layernas.networks.pricing import Prices
from layernas.networks.pricing import Progress
from layernas.networks.pricing import check_size
from layernas.networks.pricing import counted
from layernas.networks.pricing import one_by_one
from layernas.networks.reference import WIDTH_RULES
from layernas.networks.spec import IMAGE_FILTERS
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import Module
from layernas.networks.spec import ModuleInput
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem
from layernas.networks.spec import check_module
from layernas.networks.spec import integer
from layernas.networks.spec import json_of
from layernas.plain import plain_fields
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.space import Architecture
from layernas.search.space import Layer
from layernas.search.space import SearchSpace

DEPTH = 'depth'
"""Field of an option that says how many of the layer's targets, from the first
one on, the network has. If a target has a field of that name, the option sets
that field instead."""

# Combinations of other layers' options that are looked at, to find out whether
# two options differ.
_LOOKED_AT = 10_000


@dataclasses.dataclass(frozen=True)
class SizedModule:
  """A module with the size of its input in a network.

  Attributes:
    signature: text that describes its work there.
    module: spec of the module.
    input_filters: filters of its input.
    size: side of its input, in pixels.
  """

  signature: str
  module: Module
  input_filters: int
  size: int


def sized_module(
    module: Module, input_filters: int, size: int, num_classes: int
) -> SizedModule:
  """A module with its signature.

  Args:
    module: the module.
    input_filters: filters of its input.
    size: side of its input.
    num_classes: width of the network's classifier.

  Returns:
    The module with its sizes and signature.
  """
  fields = {
      'size': size, 'input': input_filters,
      **module.signature(ModuleInput(input_filters, size, num_classes)),
  }
  text = ' '.join(
      [module.kind, *(f'{name}={value}' for name, value in fields.items())]
  )
  return SizedModule(text, module, input_filters, size)


def network_modules(
    network: NetworkSpec, image_size: int, num_classes: int
) -> list[SizedModule]:
  """All modules of a network in forward order.

  Args:
    network: the network.
    image_size: side of its RGB images.
    num_classes: width of the classifier.

  Returns:
    Stem, blocks, head; a signature may occur more than once.
  """
  return [
      sized_module(module, where.input_filters, where.size, num_classes)
      for module, where in network.module_inputs(image_size, num_classes)
  ]


@dataclasses.dataclass(frozen=True)
class NetworkLayer:
  """A layer of a network space.

  Attributes:
    name: unique within the space.
    targets: names of the modules that an option changes: 'stem', 'block0',
      'block1', ..., 'head'.
    options: each a dict of fields of the targets and their values; `DEPTH`
      leaves targets out.
    default: index of the option that the layer has while it is undecided; the
      first one if not given, whatever the base network has there. The defaults
      of all layers make up the network from which a search starts.
  """

  name: str
  targets: tuple[str, ...]
  options: tuple[Mapping[str, Any], ...]
  default: int = 0

  def __post_init__(self) -> None:
    for name in ('targets', 'options'):
      if isinstance(getattr(self, name), str | Mapping):
        raise UserError(
            f'layer {self.name!r}: {name} {getattr(self, name)!r}: allowed is a'
            ' tuple of them'
        )
      object.__setattr__(self, name, tuple(getattr(self, name)))
    for option in self.options:
      if not isinstance(option, Mapping):
        raise UserError(
            f'layer {self.name!r}: option {option!r}: allowed is a dict of'
            " fields, such as {'filters': 16}"
        )
    object.__setattr__(self, 'options', tuple(
        {field: plain_fields(value) for field, value in option.items()}
        for option in self.options
    ))

  @property
  def fields(self) -> frozenset[str]:
    """Fields that some option sets."""
    return frozenset(itertools.chain.from_iterable(self.options))


@dataclasses.dataclass(frozen=True)
class _Site:
  """Where a module runs.

  Attributes:
    name: of the module.
    before: name of the module that it receives from; None for the stem.
    size: side of its input.
    scope: indices of the layers that touch it or the filters it receives.
  """

  name: str
  before: str | None
  size: int
  scope: tuple[int, ...]


class NetworkSpace(Space):
  """A search space over networks.

  Attributes:
    base: the network that provides all fields that no layer sets.
    layers: in forward order.
    search_space: the same layers for the search half.
    named: networks outside the space by name, see `with_named`.
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
    super().__init__(SearchSpace(
        Layer(layer.name, layer.options, layer.default)
        for layer in self.layers
    ))
    self._modules = base.modules
    self._check_layers()
    self._check_depths()
    self._check_options()
    self._check_differences()

  def network_of(self, architecture: Architecture) -> NetworkSpec:
    """See `Space`."""
    present = [self._present(name, architecture) for name in self._modules]
    stem, *blocks, head = filter(None, present)
    return NetworkSpec(stem, tuple(blocks), head)

  def architecture_of(self, network: NetworkLike) -> Architecture | None:
    """See `Space`."""
    if not isinstance(network, NetworkSpec):
      return None
    deep = [
        place for place, layer in enumerate(self.layers)
        if self._has_depth(layer)
    ]
    for depths in itertools.product(
        *(range(len(self.layers[place].options)) for place in deep)
    ):
      start = list(self.search_space.default)
      for place, depth in zip(deep, depths, strict=True):
        start[place] = depth
      found = self._matching(network, start, deep)
      if found is not None:
        return found
    return None

  def _matching(
      self, network: NetworkSpec, start: list[int], fixed: list[int]
  ) -> Architecture | None:
    """The architecture of a network, where some layers have their options."""
    present = [name for name in self._modules if self._present(name, start)]
    modules = list(network.modules.values())
    if len(present) != len(modules):
      return None
    of = dict(zip(present, modules, strict=True))
    found = list(start)
    for place, layer in enumerate(self.layers):
      fits = [
          number for number, option in enumerate(layer.options)
          if (place not in fixed or number == start[place]) and all(
              getattr(of[target], name, None) == value
              for target in layer.targets if target in of
              for name, value in option.items()
              if place not in fixed or name != DEPTH
          )
      ]
      if not fits:
        return None
      if start[place] not in fits:
        found[place] = fits[0]
    return tuple(found) if self.network_of(found) == network else None

  def content(self, image_size: int, num_classes: int) -> dict[str, Any]:
    """See `Space`; does not depend on images and classes."""
    del image_size, num_classes
    return {
        'base': json_of(self.base),
        'layers': [
            {
                'name': layer.name, 'targets': list(layer.targets),
                'options': [
                    {name: json_of(value) for name, value in option.items()}
                    for option in layer.options
                ],
                'default': layer.default,
            }
            for layer in self.layers
        ],
    }

  def default_scaled(
      self, width: float, rule: str, divisor: int
  ) -> NetworkSpec:
    """See `Space`."""
    default = self.network_of(self.search_space.default)
    return WIDTH_RULES[rule](default, width, divisor)

  def counterparts(
      self, architecture: Sequence[int], other: Sequence[int]
  ) -> dict[str, str | None]:
    """Which blocks of another network correspond to those of one network.

    If one network leaves a block out, the numbers of all later blocks shift.

    Args:
      architecture: one option index per layer.
      other: likewise.

    Returns:
      For the name of each block of the first network, the name that the same
      block of the base has in the other network; None if that leaves it out.

    Raises:
      UserError: one of them is not an architecture of this space.
    """
    first, second = map(self._block_names, (architecture, other))
    return {name: second.get(block) for block, name in first.items()}

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

    prices = counted(metric, num_classes, self._progress(metric, image_size))
    return self._summed(metric, METRICS[metric], image_size, prices)

  def priced(
      self, name: str, unit: str, image_size: int, price: Price
  ) -> FactoredCost:
    """Cost model of this space: the sum of its modules' prices.

    Args:
      name: name of the cost.
      unit: printed behind costs.
      image_size: side of the images in pixels.
      price: returns the price of a module.

    Returns:
      One factor per module.

    Raises:
      UserError: the images are too small for the strides.
    """
    prices = one_by_one(price, self._progress(name, image_size))
    return self._summed(name, unit, image_size, prices)

  def modules(self, image_size: int) -> Iterator[tuple[Module, int, int]]:
    """Every module of any network, in forward order.

    Args:
      image_size: side of the images in pixels.

    Yields:
      Module, filters and side of its input; equal ones may occur several times.

    Raises:
      UserError: the images are too small for the strides.
    """
    self.base.check_images(image_size)
    for site in self._sites(image_size):
      yield from self._choices(site).distinct()

  def _summed(
      self, name: str, unit: str, image_size: int, prices: Prices
  ) -> FactoredCost:
    """The sum of the modules' prices."""
    self.base.check_images(image_size)
    factors = [
        Factor(site.scope, self._choices(site).table(prices))
        for site in self._sites(image_size)
    ]
    return FactoredCost(name, self.search_space, factors, unit)

  def _progress(self, name: str, image_size: int) -> Progress:
    """Of a cost's table."""
    counts = self.search_space.option_counts
    total = sum(
        math.prod(counts[layer] for layer in site.scope)
        for site in self._sites(image_size)
    )
    return Progress(f'cost {name!r}', total)

  def _sites(self, image_size: int) -> Iterator[_Site]:
    """Where each module runs, in forward order."""
    names = list(self._modules)
    size = image_size
    for before, name in zip([None, *names], names, strict=False):
      scope = tuple(
          index for index, layer in enumerate(self.layers)
          if name in layer.targets
          or (before in layer.targets and 'filters' in layer.fields)
      )
      yield _Site(name, before, size, scope)
      size = output_size(size, self._modules[name].stride)

  def _choices(self, site: _Site) -> Choices:
    """A module over all options of its scope, the last layer fastest."""
    counts = self.search_space.option_counts
    check_size(
        [self.layers[layer].name for layer in site.scope],
        [counts[layer] for layer in site.scope],
    )
    modules, module_index = self._over(
        site, lambda layer: site.name in layer.targets,
        lambda architecture: self._present(site.name, architecture),
    )
    filters, filter_index = self._over(
        site, lambda layer: site.before in layer.targets,
        lambda architecture: self._input_filters(site, architecture),
    )
    return Choices(modules, filters, module_index, filter_index, site.size)

  def _over(
      self, site: _Site, matters: Callable[[NetworkLayer], bool],
      value: Callable[[Sequence[int]], Any],
  ) -> tuple[list[Any], np.ndarray]:
    """Distinct values over the options of the layers of a site that matter.

    Args:
      site: the site.
      matters: whether a layer does.
      value: of an architecture.

    Returns:
      The values, and the index of each, an axis for each layer of the scope.
    """
    shape = [
        self.search_space.option_counts[index]
        if matters(self.layers[index]) else 1 for index in site.scope
    ]
    architecture = list(self.search_space.default)
    deciding = [
        index for index in site.scope if matters(self.layers[index])
    ]
    known: dict[Any, int] = {}
    indices = []
    for choice in itertools.product(*(
        range(self.search_space.option_counts[index]) for index in deciding
    )):
      for index, option in zip(deciding, choice, strict=True):
        architecture[index] = option
      indices.append(known.setdefault(value(architecture), len(known)))
    return list(known), np.array(indices).reshape(shape)

  def _input_filters(self, site: _Site, architecture: Sequence[int]) -> int:
    # A block that is left out has as many filters as what it would receive.
    if not site.before:
      return IMAGE_FILTERS
    return self._module(site.before, architecture).filters

  def _module(self, name: str, architecture: Any) -> Module:
    fields: dict[str, Any] = {}
    for layer, option in zip(self.layers, architecture, strict=True):
      if name in layer.targets:
        fields |= layer.options[option]
        if self._has_depth(layer):
          del fields[DEPTH]
    module = self._modules[name]
    return dataclasses.replace(module, **fields) if fields else module

  def _present(self, name: str, architecture: Any) -> Module | None:
    """A module as an architecture has it, or None where it is left out."""
    for layer, option in zip(self.layers, architecture, strict=True):
      if name in self._droppable(layer):
        depth = layer.options[option][DEPTH]
        if layer.targets.index(name) >= depth:
          return None
    return self._module(name, architecture)

  def _droppable(self, layer: NetworkLayer) -> tuple[str, ...]:
    """Modules that some option of a layer leaves out."""
    if not self._has_depth(layer):
      return ()
    return layer.targets[min(option[DEPTH] for option in layer.options):]

  def _block_names(self, architecture: Sequence[int]) -> dict[str, str]:
    """A network's names of its blocks, by those that the base has."""
    self.search_space.check(architecture)
    present = [
        name for name in list(self._modules)[1:-1]
        if self._present(name, architecture)
    ]
    return {name: f'block{index}' for index, name in enumerate(present)}

  def _has_depth(self, layer: NetworkLayer) -> bool:
    """Whether a layer's options leave targets out."""
    return DEPTH in layer.fields and not self._own_depth(layer)

  def _own_depth(self, layer: NetworkLayer) -> bool:
    """Whether `DEPTH` is a field of the targets' own type."""
    return any(
        field.name == DEPTH for target in layer.targets
        for field in dataclasses.fields(self._modules[target])
    )

  def _check_layers(self) -> None:
    taken: dict[tuple[str, str], str] = {}
    for layer in self.layers:
      for target in layer.targets:
        if target not in self._modules:
          raise UserError(
              f'layer {layer.name!r}: target {target!r}: allowed are'
              f' {list(self._modules)}'
          )
      for target in layer.targets:
        self._check_fields(layer, target)
        for field in layer.fields:
          other = taken.setdefault((target, field), layer.name)
          if other != layer.name:
            raise UserError(
                f'layer {layer.name!r}: {target}.{field} is set by layer'
                f' {other!r} already; allowed is one layer per field'
            )

  def _check_fields(self, layer: NetworkLayer, target: str) -> None:
    module = self._modules[target]
    # Strides stay: they change the cost of everything behind them.
    allowed = {field.name for field in dataclasses.fields(module)} - {'stride'}
    if isinstance(module, Block) and not self._own_depth(layer):
      allowed.add(DEPTH)
    for option in layer.options:
      if set(option) != layer.fields or not layer.fields <= allowed:
        raise UserError(
            f'layer {layer.name!r}: option {dict(option)} for {target}: allowed'
            f' are the same fields in all options, out of {sorted(allowed)}'
        )

  def _check_depths(self) -> None:
    """What may be left out must not change what stands behind it."""
    before = dict(itertools.pairwise(self._modules))
    before = {after: name for name, after in before.items()}
    droppable: set[str] = set()
    for layer in self.layers:
      if not self._has_depth(layer):
        continue
      for option in layer.options:
        rule = integer(least=0)
        depth = option[DEPTH]
        if not rule.holds(depth) or depth > len(layer.targets):
          raise UserError(
              f'layer {layer.name!r}: option {dict(option)}: {DEPTH} {depth!r}:'
              f' allowed is an integer from 0 to {len(layer.targets)}, the'
              ' number of its targets that stay'
          )
      for name in self._droppable(layer):
        stride = self._modules[name].stride
        if stride != 1 or not self._keeps_filters(before[name], name):
          raise UserError(
              f'layer {layer.name!r}: {DEPTH} leaves out {name}: allowed are'
              ' blocks of stride 1 that have the filters of the module before'
              ' them in every network'
          )
        droppable.add(name)
    if droppable and len(droppable) == len(self.base.blocks):
      raise UserError(
          f'{DEPTH} leaves out every block: allowed are layers that leave at'
          ' least one block in every network'
      )

  def _keeps_filters(self, before: str, name: str) -> bool:
    """Whether two modules have equally many filters in every network."""
    deciding = [
        layer for layer in self.layers
        if 'filters' in layer.fields and {before, name} & set(layer.targets)
    ]
    if deciding:
      return all({before, name} <= set(layer.targets) for layer in deciding)
    return self._modules[before].filters == self._modules[name].filters

  def _check_options(self) -> None:
    for name, module in self._modules.items():
      check_module(module, f'network.{name}')
    default = self.search_space.default
    for index, layer in enumerate(self.layers):
      for option, fields in enumerate(layer.options):
        changed = default[:index] + (option,) + default[index + 1:]
        try:
          for target in layer.targets:
            check_module(self._module(target, changed), f'network.{target}')
        except UserError as error:
          raise UserError(
              f'layer {layer.name!r}: option {dict(fields)}: {error}'
          ) from error

  def _check_differences(self) -> None:
    """Every option must make another network than the others of its layer."""
    sites = {site.name: site for site in self._sites(self.base.total_stride)}
    default = self.search_space.default
    for index, layer in enumerate(self.layers):
      if not layer.targets or not layer.fields:
        missing = 'field' if layer.targets else 'target'
        raise UserError(
            f'layer {layer.name!r}: its options set no {missing}, so that they'
            ' change nothing: allowed are layers with targets, and options with'
            " fields, such as {'filters': 16}"
        )
      own = [sites[target] for target in layer.targets]
      equal: dict[Any, int] = {}
      alike: dict[Any, int] = {}
      for option, fields in enumerate(layer.options):
        other = equal.setdefault(tuple(sorted(fields.items())), option)
        reason = 'are equal'
        if other == option:
          chosen = default[:index] + (option,) + default[index + 1:]
          work = tuple(self._work(site, chosen) for site in own)
          other = alike.setdefault(work, option)
          reason = 'make the same networks'
        if other != option and (
            reason == 'are equal' or self._same(own, index, (other, option))
        ):
          raise UserError(
              f'layer {layer.name!r}: options {other} and {option}'
              f' ({layer.options[other]} and {fields}) {reason}: allowed are'
              ' options that make different networks'
          )

  def _same(
      self, sites: Sequence[_Site], index: int, options: tuple[int, int]
  ) -> bool:
    """Whether two options of a layer do the same whatever the others are."""
    counts = self.search_space.option_counts
    for site in sites:
      scope = [layer for layer in site.scope if layer != index]
      if math.prod(counts[layer] for layer in scope) > _LOOKED_AT:
        return False
      for choice in itertools.product(*(range(counts[i]) for i in scope)):
        chosen = list(self.search_space.default)
        for layer, option in zip(scope, choice, strict=True):
          chosen[layer] = option
        works = set()
        for option in options:
          chosen[index] = option
          works.add(self._work(site, chosen))
        if len(works) > 1:
          return False
    return True

  def _work(self, site: _Site, architecture: Sequence[int]) -> Any:
    """What a module does at a site, as something that can be compared.

    Signatures say that of the package's own types. That of another type may
    leave out what does not change its latency.
    """
    module = self._present(site.name, architecture)
    if type(module) not in (Stem, InvertedResidual, Head):
      return module
    return sized_module(
        module, self._input_filters(site, architecture), site.size, 1
    ).signature
