"""The interface of search algorithms: generators of groups of proposals."""

import abc
import dataclasses
import random
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Sequence

from layernas.search.budget import Remaining
from layernas.search.layer_pass import LayerPass
from layernas.search.layer_pass import PassObserver
from layernas.search.problem import Problem
from layernas.search.trial import Proposal
from layernas.search.trial import Trial

Generations = Generator[list[Proposal], None, str]
"""Yields lists of proposals; returns a text that says why nothing is left."""


@dataclasses.dataclass(frozen=True)
class Context:
  """What a strategy may know of the search that runs it.

  Attributes:
    problem: space, cost and target.
    rng: the only source of randomness.
    incumbent: returns the best trial in the target interval so far, or None;
      with a number, the best one under that upper limit of
      `Problem.each_limit`.
    remaining: returns what the finished trials have left of the budget, however
      many evaluations run at the same time.
    known: trials that the strategy did not propose, and that answer its
      proposals of their architectures: those of other searches, and of
      architectures that were tried first.
    others: trials of other tasks in the same space, task by task.
  """

  problem: Problem
  rng: random.Random
  incumbent: Callable[..., Trial | None]
  remaining: Callable[[], Remaining] = Remaining
  known: Sequence[Trial] = ()
  others: Sequence[Sequence[Trial]] = ()


class Strategy(abc.ABC):
  """Proposes architectures; sees results; never sees files or devices.

  The proposals of one generation do not depend on each other's results. A
  strategy is resumed at its next generation only when `observe` has been
  called for each of them, in the order in which they were proposed: nothing
  that it decides depends on the order in which results arrive.

  Attributes:
    repeats: whether it decides by itself which networks to train again.
    transfers: whether it learns from trials of other tasks.
    passes: its layer passes so far, of which the last one is running; None if
      it has no layer tables of trained networks.
    observer: notified of all children of the passes opened from now on, or
      None; only for a strategy with passes.
  """

  repeats: bool = False
  transfers: bool = False
  passes: Sequence[LayerPass] | None = None
  observer: PassObserver | None = None

  @abc.abstractmethod
  def generations(self, context: Context) -> Generations:
    """Yields generations; its return value says why it ended."""

  @abc.abstractmethod
  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Takes the result of a proposal, perhaps that of an earlier trial."""

  def rivals(self, proposal: Proposal) -> list[int] | None:
    """Trials of which a proposal must beat one to be kept.

    Args:
      proposal: the next one to be observed.

    Returns:
      Ids of the trials in its bucket of its layer table; None if the bucket is
      not full, and if there are no layer tables of trained networks.
    """
    del proposal
    return None

  @property
  def infeasible(self) -> int:
    """How many proposals were dropped because they miss the target."""
    return 0

  @property
  def proposer(self) -> 'Strategy':
    """The strategy that finds new networks: itself, unless it wraps one."""
    return self

  def around(self, proposer: 'Strategy') -> 'Strategy':
    """Takes the proposer itself; a wrapper puts what it adds around it."""
    return proposer

  def answer(self, incumbent: Trial | None) -> Trial | None:
    """The trial whose architecture a search answers with.

    Args:
      incumbent: the best reward in the target interval so far.

    Returns:
      The incumbent, unless the strategy has reasons to distrust rewards; None
      exactly if there is no incumbent.
    """
    return incumbent

  def answers(
      self, incumbents: Sequence[Trial | None]
  ) -> list[Trial | None]:
    """The trials that a search answers with, one for each upper limit.

    Args:
      incumbents: the best reward so far under each of `Problem.each_limit`.

    Returns:
      The trials in the same order; the last one is that of `answer`.
    """
    return [*incumbents[:-1], self.answer(incumbents[-1])]

  def plan(self, problem: Problem, trials: float) -> list[str]:
    """What the strategy spends a budget on.

    Args:
      problem: space, cost and target.
      trials: the budget; infinite if there is no limit.

    Returns:
      Texts such as '20 for a design'; none if it has no plan.
    """
    del problem, trials
    return []

  def bound(self, problem: Problem) -> int | None:
    """Largest number of trials that the strategy can ask for.

    Args:
      problem: space, cost and target.

    Returns:
      The number; None if it is not known beforehand, or unlimited.
    """
    del problem
    return None


class Wrapper(Strategy):
  """A strategy around another one, which decides whatever this one does not.

  Attributes:
    inner: the wrapped strategy.
  """

  def __init__(self, inner: Strategy):
    """Wraps a strategy.

    Args:
      inner: a strategy that has not begun.
    """
    self.inner = inner

  @property
  def proposer(self) -> Strategy:
    """The strategy that finds new architectures."""
    return self.inner.proposer

  @abc.abstractmethod
  def around(self, proposer: Strategy) -> Strategy:
    """Wraps another strategy in the same way, all anew.

    Args:
      proposer: a strategy that has not begun, in place of `self.proposer`.
    """

  @property
  def infeasible(self) -> int:
    """Number of proposals that the inner strategy dropped."""
    return self.inner.infeasible

  def answer(self, incumbent: Trial | None) -> Trial | None:
    """The inner strategy's."""
    return self.inner.answer(incumbent)

  def answers(
      self, incumbents: Sequence[Trial | None]
  ) -> list[Trial | None]:
    """The inner strategy's."""
    return self.inner.answers(incumbents)


class Portions:
  """The proposals of a wrapped strategy, a part at a time."""

  def __init__(self, generations: Generations):
    """Begins with the first generation.

    Args:
      generations: generations of the wrapped strategy.
    """
    self._generations = generations
    self._queue: list[Proposal] = []

  def while_affordable(
      self, left: Callable[[], float]
  ) -> Generator[list[Proposal], None, str]:
    """Yields proposals as long as the budget affords them; the others are kept.

    Args:
      left: returns how many proposals are affordable now; called before each
        part.

    Returns:
      Why the wrapped strategy ended, or '' if it did not.
    """
    while True:
      while not self._queue:
        try:
          self._queue = next(self._generations)
        except StopIteration as stop:
          return stop.value
      count = int(min(left(), len(self._queue)))
      if count < 1:
        return ''
      part, self._queue = self._queue[:count], self._queue[count:]
      yield part
