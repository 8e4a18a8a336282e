"""Costs known before training, and the costs that a prefix can still reach.

A cost model here is a sum of *factors*: tables over the options of a few
layers each. One factor per layer is an additive cost; widths that multiply
give factors over two or three layers; an enumerated benchmark is one factor
over all layers. Bounds over undecided layers are taken factor by factor: they
are always sound, and exact where one completion minimises (maximises) every
factor at once, as for costs that grow with every width and kernel.

`FactoredCost` prices one architecture or one prefix; `child_costs` prices all
children of a layer at once, with the same figures to the last bit.
"""

import dataclasses
import functools
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernas.errors import UserError
from layernas.search.space import Architecture
from layernas.search.space import SearchSpace

Number = int | float

# Sums of integers below it do not wrap round, and floats hold them exactly.
_LIMIT = 2**53


def cost_text(cost: Number) -> str:
  """A cost for people: integers whole, others with six digits."""
  return f'{cost:,}' if isinstance(cost, int) else f'{cost:,.6g}'


@dataclasses.dataclass(frozen=True, eq=False)
class Factor:
  """One summand of a cost: a table over the options of some layers.

  Attributes:
    scope: indices of the layers, ascending; may be empty for a constant.
    table: costs, shape = option counts of the layers in `scope`.
  """

  scope: tuple[int, ...]
  table: np.ndarray

  def __post_init__(self) -> None:
    table = np.asarray(self.table)
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
      )
    return self._bounds[key]


class FactoredCost:
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
      name: for example 'madds'.
      space: whose architectures the model prices.
      factors: at least one.
      unit: printed behind costs.

    Raises:
      UserError: a factor's shape does not fit its layers.
    """
    self.name = name
    self.unit = unit
    self.space = space
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
    """Costs of many architectures.

    Args:
      architectures: option indices, shape (n, layers).

    Returns:
      Shape (n,).
    """
    return sum(
        factor.table[tuple(architectures[:, layer] for layer in factor.scope)]
        + np.zeros(len(architectures), factor.table.dtype)
        for factor in self.factors
    )

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
    decided = frozenset(decided)
    low = high = 0
    for factor in self.factors:
      index = tuple(
          architecture[layer] if layer in decided else 0
          for layer in factor.scope
      )
      least, largest = factor.bounds(decided)
      low += least.item(index)
      high += largest.item(index)
    return low, high


def additive_cost(
    name: str, space: SearchSpace, tables: Sequence[Sequence[Number]],
    constant: Number = 0, unit: str = '',
) -> FactoredCost:
  """A cost with one summand per layer.

  Args:
    name: of the cost.
    space: of the architectures.
    tables: for each layer the cost of each of its options.
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
  factors = [Factor((), np.asarray(constant))] if constant else []
  factors += [
      Factor((layer,), np.asarray(table)) for layer, table in enumerate(tables)
  ]
  return FactoredCost(name, space, factors, unit)


def table_cost(
    name: str, space: SearchSpace, table: Any, unit: str = ''
) -> FactoredCost:
  """A cost that is enumerated for every architecture.

  Args:
    name: of the cost.
    space: of the architectures.
    table: costs, shape = option counts of the layers.
    unit: printed behind costs.

  Returns:
    The cost model; its reachable intervals are exact.
  """
  scope = tuple(range(len(space)))
  return FactoredCost(name, space, [Factor(scope, np.asarray(table))], unit)


@dataclasses.dataclass(frozen=True)
class ChildCosts:
  """Costs of the children of some prefixes, arrays (prefixes, options).

  Attributes:
    cost: of the complete network, undecided layers at their defaults.
    low: smallest cost over all completions.
    high: largest cost over all completions.
  """

  cost: np.ndarray
  low: np.ndarray
  high: np.ndarray


def child_costs(
    model: FactoredCost, prefixes: np.ndarray, decided: Sequence[int],
    layer: int,
) -> ChildCosts:
  """Prices every prefix extended by every option of a layer.

  Args:
    model: cost model.
    prefixes: shape (n, layers): architectures whose undecided layers stand at
      their defaults.
    decided: layers decided before `layer`.
    layer: layer to decide.

  Returns:
    Arrays of shape (n, options of `layer`).
  """
  options = np.arange(model.space.option_counts[layer])[None, :]
  now_decided = frozenset(decided) | {layer}
  # Integers stay so until the first float joins them, as in `model.cost`.
  cost = low = high = np.zeros((len(prefixes), options.size), np.int64)
  for factor in model.factors:
    full = tuple(
        options if scoped == layer else prefixes[:, scoped, None]
        for scoped in factor.scope
    )
    exact = factor.table[full]
    cost = cost + exact
    open_layers = set(factor.scope) - now_decided
    if not open_layers:
      low, high = low + exact, high + exact
      continue
    least, largest = factor.bounds(now_decided)
    if len(open_layers) == len(factor.scope):
      low, high = low + least.item(), high + largest.item()
      continue
    # Undecided axes of the bounds have length one.
    index = tuple(
        choice if scoped in now_decided else np.zeros((1, 1), np.intp)
        for scoped, choice in zip(factor.scope, full, strict=True)
    )
    low = low + least[index]
    high = high + largest[index]
  return ChildCosts(cost, low, high)
