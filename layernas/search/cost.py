"""Costs known before training, and the costs that a prefix can still reach.

A `Cost` prices one architecture or one prefix; its `child_costs` prices all
children of a layer at once, with the same figures to the last bit.

A `FactoredCost` is a sum of *factors*: tables over the options of a few
layers each. One factor per layer is an additive cost; widths that multiply
give factors over two or three layers; an enumerated benchmark is one factor
over all layers. Bounds over undecided layers are taken factor by factor: they
are always sound, and exact where one completion minimises (maximises) every
factor at once, as for costs that grow with every width and kernel. Those of a
`JointlyBoundedCost` are exact for other integer costs, too.

A `CountedCost` calls a function. It knows only the costs of whole networks.
"""

import abc
import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernas.errors import UserError
from layernas.search.space import Architecture
from layernas.search.space import SearchSpace

Number = int | float

# Sums of integers below it do not wrap round, and floats hold them exactly.
_LIMIT = 2**53

# Entries of a table that elimination makes at most: 8 MB.
_JOINT = 1_000_000


def cost_text(cost: Number) -> str:
  """A cost as readable text: integers whole, others with six digits.

  A config holds limits on counts as floats, too: 1.8e6 is 1,800,000.
  """
  whole = isinstance(cost, int) or (abs(cost) < _LIMIT and cost == int(cost))
  return f'{int(cost):,}' if whole else f'{cost:,.6g}'


@dataclasses.dataclass(frozen=True, eq=False)
class Factor:
  """One summand of a cost: a table over the options of some layers.

  Attributes:
    scope: indices of the layers, ascending; may be empty for a constant.
    table: costs, shape = option counts of the layers in `scope`; nested lists
      become an array.

  Raises:
    UserError: costs are no finite numbers below 2**53, or the layers are out of
      order.
  """

  scope: tuple[int, ...]
  table: np.ndarray

  def __post_init__(self) -> None:
    try:
      table = np.asarray(self.table)
    except ValueError as error:
      raise UserError(
          f'cost factor {self.scope}: {error}: allowed is a number for each'
          ' combination of options'
      ) from error
    if table.dtype.kind not in 'uif':
      raise UserError(f'cost factor {self.scope}: dtype {table.dtype}: allowed'
                      ' are integers and floats')
    outside = table[~(np.abs(table.astype(np.float64)) < _LIMIT)]
    if outside.size:
      raise UserError(f'cost factor {self.scope}: cost {outside[0]}: allowed'
                      f' are numbers between -{_LIMIT:,} and {_LIMIT:,}')
    if list(self.scope) != sorted(set(self.scope)):
      raise UserError(f'cost factor {self.scope}: layers out of order: allowed'
                      ' are ascending layer indices')
    exact = np.float64 if table.dtype.kind == 'f' else np.int64
    object.__setattr__(self, 'table', table.astype(exact))

  @functools.cached_property
  def _bounds(self) -> dict[frozenset[int], tuple[np.ndarray, np.ndarray]]:
    return {}

  def bounds(self, decided: frozenset[int]) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value over the options of the undecided layers.

    Args:
      decided: indices of layers; those outside the scope do not matter.

    Returns:
      Two tables with axes of length one for the undecided layers.
    """
    key = decided & frozenset(self.scope)
    if key not in self._bounds:
      axes = tuple(i for i, layer in enumerate(self.scope) if layer not in key)
      self._bounds[key] = (
          self.table.min(axis=axes, keepdims=True),
          self.table.max(axis=axes, keepdims=True),
      ) if axes else (self.table, self.table)
    return self._bounds[key]


@dataclasses.dataclass(frozen=True)
class ChildCosts:
  """Costs of the children of some prefixes, arrays (prefixes, options).

  Attributes:
    cost: cost of the complete network, undecided layers at their defaults.
    low: smallest cost over all completions.
    high: largest cost over all completions.
  """

  cost: np.ndarray
  low: np.ndarray
  high: np.ndarray


class Cost(abc.ABC):
  """A cost of networks, as a search knows it.

  Attributes:
    name: name of the cost, such as 'madds'.
    unit: printed behind costs.
    space: the space whose architectures are priced.
  """

  def __init__(self, name: str, space: SearchSpace, unit: str = ''):
    """Names the cost.

    Args:
      name: name of the cost, such as 'madds'.
      space: the space whose architectures are priced.
      unit: printed behind costs.
    """
    self.name = name
    self.unit = unit
    self.space = space

  @abc.abstractmethod
  def cost(self, architecture: Architecture) -> Number:
    """Cost of one architecture."""

  @abc.abstractmethod
  def costs(self, architectures: np.ndarray) -> np.ndarray:
    """Costs of many architectures.

    Args:
      architectures: option indices, shape (n, layers).

    Returns:
      Shape (n,).
    """

  @abc.abstractmethod
  def interval(
      self, architecture: Architecture, decided: Iterable[int]
  ) -> tuple[Number, Number]:
    """Reachable interval: smallest and largest cost over all completions.

    Args:
      architecture: its options count only for the decided layers.
      decided: indices of layers.

    Returns:
      Sound bounds; every completion's cost lies between them.
    """

  @abc.abstractmethod
  def child_costs(
      self, prefixes: np.ndarray, decided: Sequence[int], layer: int
  ) -> ChildCosts:
    """Prices every prefix extended by every option of a layer.

    Args:
      prefixes: architectures whose undecided layers have their defaults, shape
        (n, layers).
      decided: layers decided before `layer`.
      layer: layer to decide.

    Returns:
      Arrays of shape (n, options of `layer`).
    """


@dataclasses.dataclass(frozen=True)
class Bounds:
  """Bounds of a summand of a cost, given the decided layers.

  Attributes:
    scope: indices of layers, ascending.
    least: smallest values, an axis for each layer of `scope`, of length one
      where the layer is undecided.
    largest: likewise.
  """

  scope: tuple[int, ...]
  least: np.ndarray
  largest: np.ndarray


class FactoredCost(Cost):
  """A cost that is a sum of factors.

  Integer tables give exact integer costs. Summands are always added in the
  same order, so that bounds of float costs are sound to the last bit (rounded
  addition is monotone).
  """

  def __init__(
      self, name: str, space: SearchSpace, factors: Iterable[Factor],
      unit: str = '',
  ):
    """Checks the factors against the space.

    Args:
      name: name of the cost, such as 'madds'.
      space: the space whose architectures are priced.
      factors: at least one.
      unit: printed behind costs.

    Raises:
      UserError: a factor's shape does not fit its layers.
    """
    super().__init__(name, space, unit)
    self.factors = tuple(factors)
    if not self.factors:
      raise UserError(f'cost {name!r}: no factors; allowed: at least one')
    counts = space.option_counts
    for factor in self.factors:
      if any(not 0 <= layer < len(space) for layer in factor.scope):
        raise UserError(
            f'cost {name!r}: factor over layers {factor.scope}: allowed are'
            f' layers 0 to {len(space) - 1}'
        )
      shape = tuple(counts[layer] for layer in factor.scope)
      if factor.table.shape != shape:
        raise UserError(
            f'cost {name!r}: factor over layers {factor.scope} has shape'
            f' {factor.table.shape}: allowed is {shape}, the option counts'
        )

  def cost(self, architecture: Architecture) -> Number:
    """Cost of one architecture."""
    total = 0
    # From Python 3.12 on sum() rounds floats in a way of its own, and a cost
    # could leave its reachable interval.
    for factor in self.factors:
      total += factor.table.item(
          tuple(architecture[layer] for layer in factor.scope)
      )
    return total

  def costs(self, architectures: np.ndarray) -> np.ndarray:
    """Costs of many architectures, see `Cost.costs`."""
    return sum(
        factor.table[tuple(architectures[:, layer] for layer in factor.scope)]
        + np.zeros(len(architectures), factor.table.dtype)
        for factor in self.factors
    )

  def bounds(self, decided: frozenset[int]) -> Sequence[Bounds]:
    """The summands whose bounds add up to those of the cost.

    Args:
      decided: indices of layers.

    Returns:
      One for each factor.
    """
    return [
        Bounds(factor.scope, *factor.bounds(decided))
        for factor in self.factors
    ]

  def interval(
      self, architecture: Architecture, decided: Iterable[int]
  ) -> tuple[Number, Number]:
    """Reachable interval, see `Cost.interval`."""
    decided = frozenset(decided)
    low = high = 0
    for part in self.bounds(decided):
      index = tuple(
          architecture[layer] if layer in decided else 0
          for layer in part.scope
      )
      low += part.least.item(index)
      high += part.largest.item(index)
    return low, high

  def child_costs(
      self, prefixes: np.ndarray, decided: Sequence[int], layer: int
  ) -> ChildCosts:
    """Prices the children of prefixes, see `Cost.child_costs`."""
    options = np.arange(self.space.option_counts[layer])[None, :]
    now_decided = frozenset(decided) | {layer}

    def chosen(scope: tuple[int, ...], known: Iterable[int]) -> Any:
      # Undecided axes of bounds have length one.
      return tuple(
          np.zeros((1, 1), np.intp) if scoped not in known
          else options if scoped == layer else prefixes[:, scoped, None]
          for scoped in scope
      )

    # Integers stay so until the first float joins them, as in `cost`.
    cost = low = high = np.zeros((len(prefixes), options.size), np.int64)
    for factor in self.factors:
      cost = cost + factor.table[chosen(factor.scope, factor.scope)]
    for part in self.bounds(now_decided):
      index = chosen(part.scope, now_decided)
      low = low + part.least[index]
      high = high + part.largest[index]
    return ChildCosts(cost, low, high)


class JointlyBoundedCost(FactoredCost):
  """A sum of integer factors whose reachable intervals are exact.

  Undecided layers are eliminated one by one: the factors that contain a layer
  are added, and the smallest (largest) sums over its options are a factor over
  the other layers (bucket elimination; Dechter, Artificial Intelligence 113,
  1999). If their table would have more than a million entries, they are bounded
  in parts, soundly (mini-buckets; Dechter and Rish, Journal of the ACM 50,
  2003).
  """

  def __init__(
      self, name: str, space: SearchSpace, factors: Iterable[Factor],
      unit: str = '',
  ):
    """Checks the factors, see `FactoredCost`.

    Args:
      name: name of the cost, such as 'madds'.
      space: the space whose architectures are priced.
      factors: at least one, of integers.
      unit: printed behind costs.

    Raises:
      UserError: a factor does not fit its layers, or holds floats, whose sums
        depend on their order.
    """
    super().__init__(name, space, factors, unit)
    for factor in self.factors:
      if factor.table.dtype.kind == 'f':
        raise UserError(
            f'cost {name!r}: factor over layers {factor.scope} holds floats:'
            ' allowed are integers where bounds are taken jointly'
        )
    self._eliminated: dict[frozenset[int], Sequence[Bounds]] = {}

  def bounds(self, decided: frozenset[int]) -> Sequence[Bounds]:
    """Summands over decided layers alone."""
    if decided not in self._eliminated:
      parts = [
          Bounds(factor.scope, factor.table, factor.table)
          for factor in self.factors
      ]
      undecided = set(range(len(self.space))) - decided
      while undecided:
        layer = min(undecided, key=lambda one: (self._size(parts, one), one))
        undecided.remove(layer)
        parts = self._without(parts, layer)
      self._eliminated[decided] = parts
    return self._eliminated[decided]

  def _size(self, parts: Iterable[Bounds], layer: int) -> int:
    """Entries of the table that eliminating a layer makes."""
    scopes = [part.scope for part in parts if layer in part.scope]
    return self._entries(*scopes)

  def _entries(self, *scopes: tuple[int, ...]) -> int:
    """Combinations of the options of all these layers."""
    counts = self.space.option_counts
    return math.prod(counts[one] for one in set(itertools.chain(*scopes)))

  def _without(self, parts: Sequence[Bounds], layer: int) -> list[Bounds]:
    """The same bounds with a layer eliminated."""
    groups: list[Bounds] = []
    for part in parts:
      if layer in part.scope:
        fits = (
            place for place, other in enumerate(groups)
            if self._entries(other.scope, part.scope) <= _JOINT
        )
        place = next(fits, None)
        if place is None:
          groups.append(part)
        else:
          groups[place] = _sum(groups[place], part)
    rest = [part for part in parts if layer not in part.scope]
    for part in groups:
      axis = part.scope.index(layer)
      rest.append(Bounds(
          part.scope[:axis] + part.scope[axis + 1:],
          part.least.min(axis), part.largest.max(axis),
      ))
    return rest


def _sum(one: Bounds, other: Bounds) -> Bounds:
  """Two summands as one, over the layers of both."""
  scope = tuple(sorted({*one.scope, *other.scope}))

  def along(part: Bounds, table: np.ndarray) -> np.ndarray:
    missing = [axis for axis, at in enumerate(scope) if at not in part.scope]
    return np.expand_dims(table, missing)

  return Bounds(
      scope,
      along(one, one.least) + along(other, other.least),
      along(one, one.largest) + along(other, other.largest),
  )


class CountedCost(Cost):
  """A cost that is known only as a function of whole networks.

  Each network is counted once. It is not known what a prefix can reach, so none
  is dropped before its last layer. A start from the 'smallest' or 'largest'
  network considers only the last layer.
  """

  def __init__(
      self, name: str, space: SearchSpace, count: Callable[[Architecture], int],
      unit: str = '', known: Mapping[Architecture, int] | None = None,
  ):
    """Counts nothing yet.

    Args:
      name: name of the cost, such as 'madds'.
      space: the space whose architectures are priced.
      count: returns the cost of an architecture, an integer.
      unit: printed behind costs.
      known: costs of architectures that were counted before.
    """
    super().__init__(name, space, unit)
    self._count = count
    self._known = dict(known or {})

  def cost(self, architecture: Architecture) -> int:
    """Cost of one architecture.

    Args:
      architecture: one option index per layer.

    Returns:
      Its count.

    Raises:
      UserError: the count is no integer.
    """
    if architecture not in self._known:
      self._known[architecture] = counted(self._count, architecture)
    return self._known[architecture]

  def costs(self, architectures: np.ndarray) -> np.ndarray:
    """Costs of many architectures, see `Cost.costs`."""
    return np.array(
        [self.cost(tuple(one)) for one in architectures.tolist()], np.int64
    )

  def interval(
      self, architecture: Architecture, decided: Iterable[int]
  ) -> tuple[Number, Number]:
    """The cost of a whole network; for a prefix, all numbers."""
    if not self._whole(decided):
      return -math.inf, math.inf
    cost = self.cost(tuple(architecture))
    return cost, cost

  def child_costs(
      self, prefixes: np.ndarray, decided: Sequence[int], layer: int
  ) -> ChildCosts:
    """Prices the children of prefixes, see `Cost.child_costs`."""
    children = children_of(self.space, prefixes, layer)
    cost = self.costs(children).reshape(len(prefixes), -1)
    if self._whole([*decided, layer]):
      return ChildCosts(cost, cost, cost)
    unknown = np.full(cost.shape, math.inf)
    return ChildCosts(cost, -unknown, unknown)

  def _whole(self, decided: Iterable[int]) -> bool:
    """Whether one network alone is left."""
    decided = set(decided)
    return all(
        layer in decided or count == 1
        for layer, count in enumerate(self.space.option_counts)
    )


def children_of(
    space: SearchSpace, prefixes: np.ndarray, layer: int
) -> np.ndarray:
  """Prefixes with each option of a layer in turn.

  Args:
    space: space of the architectures.
    prefixes: shape (n, layers).
    layer: the layer that is decided next.

  Returns:
    Shape (n * options, layers): all children of the first prefix come first.
  """
  options = space.option_counts[layer]
  children = np.repeat(prefixes, options, axis=0)
  children[:, layer] = np.tile(np.arange(options), len(prefixes))
  return children


def counted(
    count: Callable[[Architecture], int], architecture: Architecture
) -> int:
  """Calls a function that counts.

  Args:
    count: the function.
    architecture: what it counts.

  Returns:
    The count, as Python's own integer.

  Raises:
    UserError: it is not an integer, or too large for exact sums of floats.
  """
  value = count(architecture)
  try:
    number = operator.index(value)
  except TypeError:
    number = _LIMIT
  if isinstance(value, bool) or abs(number) >= _LIMIT:
    raise UserError(
        f'count of architecture {architecture}: {value!r}: allowed are integers'
        f' between -{_LIMIT:,} and {_LIMIT:,}'
    )
  return number


def additive_cost(
    name: str, space: SearchSpace, tables: Sequence[Sequence[Number]],
    constant: Number = 0, unit: str = '',
) -> FactoredCost:
  """A cost with one summand per layer.

  Args:
    name: name of the cost.
    space: space of the architectures.
    tables: costs of the options of each layer.
    constant: cost of the parts that are not searched.
    unit: printed behind costs.

  Returns:
    The cost model.

  Raises:
    UserError: the tables do not fit the space.
  """
  if len(tables) != len(space):
    raise UserError(
        f'cost {name!r}: {len(tables)} tables: allowed is one for each of the'
        f' {len(space)} layers'
    )
  factors = [Factor((), constant)] if constant else []
  factors += [Factor((layer,), table) for layer, table in enumerate(tables)]
  return FactoredCost(name, space, factors, unit)


def table_cost(
    name: str, space: SearchSpace, table: Any, unit: str = ''
) -> FactoredCost:
  """A cost that is enumerated for every architecture.

  Args:
    name: name of the cost.
    space: space of the architectures.
    table: costs, shape = option counts of the layers.
    unit: printed behind costs.

  Returns:
    The cost model; its reachable intervals are exact.
  """
  scope = tuple(range(len(space)))
  return FactoredCost(name, space, [Factor(scope, table)], unit)
