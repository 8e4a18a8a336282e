"""What is searched: a space, a cost and a target interval."""

import dataclasses
import math
from typing import Any

from layernas.errors import UserError
from layernas.plain import plain
from layernas.search.cost import Cost
from layernas.search.cost import Number
from layernas.search.cost import cost_text
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
    if not self.low <= self.high:
      raise UserError(
          f'target interval [{self.low}, {self.high}]: allowed are intervals'
          ' with low <= high'
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


@dataclasses.dataclass(frozen=True)
class Reference:
  """A network that the answer of a search has to beat.

  Attributes:
    name: for people.
    network: an architecture of the space, or the name of a network outside it.
    cost: of the network.
  """

  name: str
  network: Network
  cost: Number


@dataclasses.dataclass(frozen=True)
class Problem:
  """Find the best architecture of a space whose cost lies in the target.

  Attributes:
    cost: cost model, which knows its space.
    target: costs that the answer may have.
    references: networks in the target that the answer is compared with, where
      a search compares (`comparison.Compared`).
  """

  cost: Cost
  target: TargetInterval = TargetInterval()
  references: tuple[Reference, ...] = ()

  def __post_init__(self) -> None:
    low, high = self.cost.interval(self.space.default, ())
    if not self.target.meets(low, high):
      unit = f' {self.cost.unit}' if self.cost.unit else ''
      raise UserError(
          f'target interval [{cost_text(self.target.low)},'
          f' {cost_text(self.target.high)}] of {self.cost.name!r}: no network'
          ' reaches it; allowed are intervals that some network reaches;'
          f' reachable are {cost_text(low)} to {cost_text(high)}{unit}'
      )

  @property
  def space(self) -> SearchSpace:
    """Space of the architectures."""
    return self.cost.space
