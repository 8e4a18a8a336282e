"""The problem of a search: space, cost, target interval and further limits.

This module alone decides whether a network may be the answer, and whether a
prefix can still become such a network.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernas.errors import UserError
from layernas.plain import is_number
from layernas.plain import plain
from layernas.search.cost import ChildCosts
from layernas.search.cost import Cost
from layernas.search.cost import Number
from layernas.search.cost import cost_text
from layernas.search.space import Architecture
from layernas.search.space import Network
from layernas.search.space import SearchSpace


@dataclasses.dataclass(frozen=True)
class TargetInterval:
  """Costs that the answer may have, both ends included.

  Attributes:
    low: smallest allowed cost; -inf means no lower limit.
    high: largest allowed cost; inf means no upper limit.
  """

  low: Number = -math.inf
  high: Number = math.inf

  def __post_init__(self) -> None:
    for name in ('low', 'high'):
      object.__setattr__(self, name, plain(getattr(self, name)))
    if not (
        is_number(self.low) and is_number(self.high) and self.low <= self.high
    ):
      raise UserError(
          f'target interval [{self.low}, {self.high}]: allowed are intervals'
          ' of numbers with low <= high'
      )

  def __contains__(self, cost: Number) -> bool:
    return self.low <= cost <= self.high

  def meets(self, low: Any, high: Any) -> Any:
    """Whether some cost of [low, high] lies in this interval.

    Args:
      low: a cost, or an array of them.
      high: likewise, of the same shape.

    Returns:
      A bool, or an array of them.
    """
    return (low <= self.high) & (high >= self.low)


def upper_limits(high: Any) -> tuple[Number, ...]:
  """Upper limits of the cost, from the field `target.high` of a config.

  Args:
    high: a number, 0 for no limit, or several numbers.

  Returns:
    The limits, ascending and distinct; only inf if there is none.

  Raises:
    UserError: names the field and what is allowed.
  """
  several = isinstance(high, tuple | list)
  found = [plain(one) for one in (high if several else (high or math.inf,))]
  if not found or not all(
      is_number(one) and not math.isnan(one) and one
      and (math.isfinite(one) or not several) for one in found
  ):
    raise UserError(
        f'target.high: {high!r}: allowed is a number, 0 for no limit, or'
        ' several finite ones other than 0, such as (1.2e6, 1.8e6)'
    )
  return tuple(sorted(set(found)))


@dataclasses.dataclass(frozen=True)
class Reference:
  """A network that the answer of a search has to beat.

  Attributes:
    name: name in messages.
    network: an architecture of the space, or the name of a network outside it.
    cost: cost of the network.
  """

  name: str
  network: Network
  cost: Number


@dataclasses.dataclass(frozen=True)
class Limit:
  """A limit on a cost other than the one that buckets are cut by.

  Attributes:
    cost: cost model of the same space.
    high: largest allowed cost, included.
  """

  cost: Cost
  high: Number

  def __post_init__(self) -> None:
    high = plain(self.high)
    object.__setattr__(self, 'high', high)
    if not is_number(high) or math.isnan(high):
      raise UserError(
          f'limits.{self.cost.name}: {high!r}: allowed is a number'
      )


@dataclasses.dataclass(frozen=True)
class Problem:
  """The task to find the best architecture of a space in the target.

  Attributes:
    cost: cost model, which knows its space.
    target: costs that the answer may have.
    references: networks in the target with which the answer is compared, if a
      search compares (`comparison.Compared`).
    limits: limits on further costs, which the answer must keep, too.
    smaller_highs: upper limits of the cost below that of the target, ascending;
      the search has an answer for each of them as well.
  """

  cost: Cost
  target: TargetInterval = TargetInterval()
  references: tuple[Reference, ...] = ()
  limits: tuple[Limit, ...] = ()
  smaller_highs: tuple[Number, ...] = ()

  def __post_init__(self) -> None:
    for limit in self.limits:
      if limit.cost.space != self.space:
        raise UserError(
            f'limits.{limit.cost.name}: a cost of another space: allowed are'
            ' costs of the space that is searched'
        )
      low, high = limit.cost.interval(self.space.default, ())
      if limit.high < low:
        raise UserError(
            f'limits.{limit.cost.name}: {cost_text(limit.high)}: no network'
            ' keeps it; allowed are limits of at least'
            f' {cost_text(low)}{_unit(limit.cost)}'
        )
    highs = (*self.smaller_highs, self.target.high)
    if list(highs) != sorted(set(highs)):
      raise UserError(
          f'upper limits {highs}: allowed are ascending ones, the last that of'
          ' the target'
      )
    low, high = self.cost.interval(self.space.default, ())
    for most in highs:
      if not TargetInterval(self.target.low, most).meets(low, high):
        raise UserError(
            f'target interval [{cost_text(self.target.low)},'
            f' {cost_text(most)}] of {self.cost.name!r}: no network'
            ' reaches it; allowed are intervals that some network reaches;'
            f' reachable are {cost_text(low)} to'
            f' {cost_text(high)}{_unit(self.cost)}'
        )

  @property
  def space(self) -> SearchSpace:
    """Space of the architectures."""
    return self.cost.space

  @functools.cached_property
  def each_limit(self) -> 'tuple[Problem, ...]':
    """This problem under a single upper limit, for each of its upper limits.

    The smallest limit comes first; the last problem has the whole target, and
    the references.
    """
    return (*(
        Problem(
            self.cost, TargetInterval(self.target.low, high),
            limits=self.limits,
        ) for high in self.smaller_highs
    ), dataclasses.replace(self, smaller_highs=()))

  def admits(self, network: Network, cost: Number) -> bool:
    """Whether a network may be the answer.

    Args:
      network: an architecture, or the name of a reference, which keeps the
        further limits.
      cost: cost of the network.

    Returns:
      Whether its cost is in the target, and it keeps the further limits.
    """
    return cost in self.target and self.keeps_limits(network)

  def keeps_limits(self, network: Network) -> bool:
    """Whether a network keeps the further limits.

    Args:
      network: an architecture, or the name of a reference, which keeps them.
    """
    return isinstance(network, str) or all(
        limit.cost.cost(network) <= limit.high for limit in self.limits
    )

  def admitted(
      self, architectures: np.ndarray, costs: np.ndarray
  ) -> np.ndarray:
    """Whether many architectures may be the answer, see `admits`.

    Args:
      architectures: shape (n, layers).
      costs: costs of the architectures, shape (n,).

    Returns:
      Bool, shape (n,).
    """
    inside = self.target.meets(costs, costs)
    for limit in self.limits:
      inside = inside & (limit.cost.costs(architectures) <= limit.high)
    return inside

  def children(
      self, prefixes: np.ndarray, decided: Sequence[int], layer: int
  ) -> tuple[ChildCosts, np.ndarray]:
    """Prices the children of prefixes and finds those that can be extended.

    Each cost is considered separately. No completion of a dropped child may be
    the answer. A child that stays may have no completion that keeps all limits
    at the same time. For whole networks the decision is exact.

    Args:
      prefixes: as in `Cost.child_costs`.
      decided: likewise.
      layer: likewise.

    Returns:
      The costs, and whether target and limits can still be reached: bool, of
      the same shape.
    """
    priced = self.cost.child_costs(prefixes, decided, layer)
    feasible = self.target.meets(priced.low, priced.high)
    for limit in self.limits:
      further = limit.cost.child_costs(prefixes, decided, layer)
      feasible = feasible & (further.low <= limit.high)
    return priced, feasible

  def further_costs(self, architecture: Architecture) -> dict[str, Number]:
    """The further costs of an architecture that are limited, by name."""
    return {
        limit.cost.name: limit.cost.cost(architecture) for limit in self.limits
    }


def _unit(cost: Cost) -> str:
  return f' {cost.unit}' if cost.unit else ''
