"""What every search algorithm is: a generator of generations of proposals."""

import abc
import dataclasses
import random
from collections.abc import Callable
from collections.abc import Generator

from layernas.search.cost import Number
from layernas.search.problem import Problem
from layernas.search.space import Architecture
from layernas.search.trial import Trial

Generations = Generator[list['Proposal'], None, str]
"""Yields lists of proposals; returns in words why nothing is left."""


@dataclasses.dataclass(frozen=True, slots=True)
class Proposal:
  """An architecture that a strategy wants to know the reward of.

  Attributes:
    architecture: option indices.
    cost: its cost.
    length: number of decided layers, which names the layer table that it is
      meant for; 0 where there are no tables.
    layer: number of the layer decided last, 1..L; 0 where none.
  """

  architecture: Architecture
  cost: Number
  length: int = 0
  layer: int = 0


@dataclasses.dataclass(frozen=True)
class Context:
  """What a strategy may know of the search that runs it.

  Attributes:
    problem: space, cost and target.
    rng: the only source of randomness.
    incumbent: returns the best trial in the target interval so far, or None.
  """

  problem: Problem
  rng: random.Random
  incumbent: Callable[[], Trial | None]


class Strategy(abc.ABC):
  """Proposes architectures; sees results; never sees files or devices.

  The proposals of one generation do not depend on each other's results. A
  strategy is resumed at its next generation only when `observe` has been
  called for each of them, in the order in which they were proposed: nothing
  that it decides depends on the order in which results arrive.
  """

  @abc.abstractmethod
  def generations(self, context: Context) -> Generations:
    """Yields generations; its return value says why it ended."""

  @abc.abstractmethod
  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Takes the result of a proposal, perhaps that of an earlier trial."""

  @property
  @abc.abstractmethod
  def infeasible(self) -> int:
    """How many proposals were dropped because they miss the target."""

  @abc.abstractmethod
  def bound(self, problem: Problem) -> int | None:
    """Largest number of trials that it can ask for; None where unlimited."""
