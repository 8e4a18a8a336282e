"""What every search algorithm is: a generator of generations of proposals."""

import abc
import dataclasses
import random
from collections.abc import Callable
from collections.abc import Generator

from layernas.search.budget import Remaining
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
    repeat: a further evaluation, with a seed of its own, of an architecture
      that is perhaps known; else the earlier trial answers where trials are
      reused.
  """

  architecture: Architecture
  cost: Number
  length: int = 0
  layer: int = 0
  repeat: bool = False


@dataclasses.dataclass(frozen=True)
class Context:
  """What a strategy may know of the search that runs it.

  Attributes:
    problem: space, cost and target.
    rng: the only source of randomness.
    incumbent: returns the best trial in the target interval so far, or None.
    remaining: returns what is left of the budget. Where several evaluations run
      at the same time, ask it between generations only.
  """

  problem: Problem
  rng: random.Random
  incumbent: Callable[[], Trial | None]
  remaining: Callable[[], Remaining] = Remaining


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

  def holders(self, proposal: Proposal) -> list[int] | None:
    """Trials that a proposal must beat one of to be kept.

    Args:
      proposal: the next one to be observed.

    Returns:
      Ids of the trials that hold the bucket of its cost in its layer table;
      None where the bucket has room, and where there are no layer tables of
      trained networks.
    """
    del proposal
    return None

  @property
  @abc.abstractmethod
  def infeasible(self) -> int:
    """How many proposals were dropped because they miss the target."""

  @property
  def proposer(self) -> 'Strategy':
    """The strategy that finds new networks: itself, unless it wraps one."""
    return self

  def answer(self, incumbent: Trial | None) -> Trial | None:
    """The trial whose architecture a search answers with.

    Args:
      incumbent: the best reward in the target interval so far.

    Returns:
      The incumbent, unless the strategy has reasons to distrust rewards; None
      exactly where there is no incumbent.
    """
    return incumbent

  @abc.abstractmethod
  def bound(self, problem: Problem) -> int | None:
    """Largest number of trials that it can ask for; None where unlimited."""
