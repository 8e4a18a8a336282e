"""The answer beside the networks that it has to beat (ours).

A search that finds nothing better than the network it began with has to say
so. Around any strategy: the *references*, such as the space's default network
and that network scaled in width to the limit, are trained first. At the end of
the budget they are trained again, and so is the answer, whose earlier rewards
do not count: it was chosen for them. Where the answer's mean is not the best,
the best reference answers instead.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence

import numpy as np

from layernas.errors import UserError
from layernas.search.budget import Remaining
from layernas.search.problem import Problem
from layernas.search.problem import Reference
from layernas.search.space import Network
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.strategy import Portions
from layernas.search.strategy import Strategy
from layernas.search.strategy import Wrapper
from layernas.search.trial import Proposal
from layernas.search.trial import Trial

# One of so many trainings may be the comparison's.
_SHARE = 4

# Points of the integral under Student's density.
_POINTS = 4001


@dataclasses.dataclass(frozen=True)
class Standing:
  """How the answer stands against one reference.

  Attributes:
    reference: its name.
    reward: mean of its rewards.
    difference: mean reward of the answer minus it.
    error: standard error of the difference; 0 where rewards have no noise.
    probability: that the answer is the better one, by Student's distribution
      with the degrees of freedom that the repeats of all networks leave; None
      where nothing was repeated.
  """

  reference: str
  reward: float
  difference: float
  error: float
  probability: float | None


class Compared(Wrapper):
  """Lets a strategy search, then compares its answer with references."""

  def __init__(self, inner: Strategy, trainings: int = 3):
    """Wraps a strategy that has not begun.

    Args:
      inner: the strategy that searches, with what the comparison leaves of the
        budget.
      trainings: of each reference, and of the answer after it was chosen.

    Raises:
      UserError: `trainings` is below one.
    """
    if trainings < 1:
      raise UserError(
          f'reference.trainings: {trainings}: allowed are integers >= 1, or 0'
          ' for no comparison'
      )
    super().__init__(inner)
    self.trainings = trainings
    self._references: tuple[Reference, ...] = ()
    self._each = 0
    self._searching = False
    self._trials: dict[Network, dict[int, Trial]] = {}
    # What is compared, and its rewards from then on.
    self._chosen: Trial | None = None
    self._afresh: list[float] = []

  def around(self, proposer: Strategy) -> Strategy:
    """Wraps another strategy in the same way, all anew."""
    return Compared(self.inner.around(proposer), self.trainings)

  def plan(self, problem: Problem, trials: float) -> list[str]:
    """The inner strategy's plan and the comparison."""
    each = self.each(problem, trials)
    networks = len(problem.references) + 1
    inner = self.inner.plan(problem, trials - each * networks)
    if not each:
      return inner
    names = ' and the '.join(one.name for one in problem.references)
    return [*inner, (
        f'{each * networks} to compare the answer with the {names},'
        f' {each} of each'
    )]

  def each(self, problem: Problem, trials: float) -> int:
    """Trainings of each network that is compared.

    Args:
      problem: with the references.
      trials: the whole budget; infinite where there is no limit.

    Returns:
      `trainings`, or as many as a quarter of the budget allows; 0 where it
      allows none, and where there is nothing to compare with.
    """
    if not problem.references:
      return 0
    networks = len(problem.references) + 1
    return int(min(self.trainings, trials / (_SHARE * networks)))

  def generations(self, context: Context) -> Generations:
    """Yields the references, what the inner strategy proposes, repeats.

    With a larger budget than planned for, it searches and compares once more.
    """
    problem = context.problem
    self._each = self.each(problem, context.remaining().trials)
    if self._each:
      self._references = problem.references
      yield [Proposal(one.network, one.cost) for one in self._references]
    inner = Portions(self.inner.generations(dataclasses.replace(
        context, remaining=lambda: self._left(context)
    )))

    def left() -> float:
      left = self._left(context)
      return left.trials if left.seconds > 0 else 0

    ended = ''
    while not ended:
      self._searching = True
      ended = yield from inner.while_affordable(left)
      self._searching = False
      answer = self.inner.answer(context.incumbent())
      if not self._references or answer is None:
        break
      self._chosen, self._afresh = answer, []
      yield self._repeats(answer)
      if left() < 1:
        break
    return ended or (
        'the answer was compared' if self._chosen
        else 'no network in the target interval has a reward'
    )

  def _left(self, context: Context) -> Remaining:
    """What of the budget is the inner strategy's."""
    left = context.remaining()
    reserved = 0
    if self._references:
      reserved = self._each * (len(self._references) + 1)
      reserved -= sum(
          len(self._trials.get(one.network, ())) > 0
          for one in self._references
      )
    spent = [
        trial.evaluation.seconds for trials in self._trials.values()
        for trial in trials.values()
    ]
    each = statistics.fmean(spent) if spent else 0.0
    return Remaining(left.trials - reserved, left.seconds - reserved * each)

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Keeps the trial; the inner strategy hears of its own proposals alone."""
    known = self._trials.setdefault(proposal.architecture, {})
    known[trial.candidate.id] = trial
    if self._searching:
      self.inner.observe(proposal, trial)
    elif self._chosen is not None and trial.ok and (
        proposal.architecture == self._chosen.candidate.architecture
    ):
      self._afresh.append(trial.evaluation.reward)

  def rivals(self, proposal: Proposal) -> list[int] | None:
    """Of the inner strategy."""
    return self.inner.rivals(proposal) if self._searching else None

  def bound(self, problem: Problem) -> int | None:
    """The inner strategy's bound and the trainings of the comparison."""
    bound = self.inner.bound(problem)
    if bound is None:
      return None
    return bound + self.trainings * (len(problem.references) + 1)

  def answer(self, incumbent: Trial | None) -> Trial | None:
    """The inner answer; once compared, the network with the best mean."""
    found = self.inner.answer(incumbent)
    if found is not None and not self._afresh:
      return found
    means = {
        one: statistics.fmean(rewards) for one in self._references
        if (rewards := self._rewards(one.network))
    }
    best = max(means, key=means.__getitem__, default=None)
    if best is None or (
        self._afresh and statistics.fmean(self._afresh) > means[best]
    ):
      return self._chosen or found
    return next(
        trial for trial in self._trials[best.network].values() if trial.ok
    )

  def answers(
      self, incumbents: Sequence[Trial | None]
  ) -> list[Trial | None]:
    """The inner answers; that under the largest limit alone is compared."""
    return [
        *self.inner.answers(incumbents)[:-1], self.answer(incumbents[-1])
    ]

  def standings(self) -> list[Standing]:
    """How the answer stands against each reference.

    Returns:
      In the order of the references; without those that have no reward, and
      without the answer itself; none as long as nothing was compared.
    """
    if self._chosen is None or not self._afresh:
      return []
    variance, degrees = self._noise()
    mean, count = statistics.fmean(self._afresh), len(self._afresh)
    standings = []
    for one in self._references:
      rewards = self._rewards(one.network)
      if one.network == self._chosen.candidate.architecture or not rewards:
        continue
      difference = mean - statistics.fmean(rewards)
      error = math.sqrt(variance * (1 / count + 1 / len(rewards)))
      standings.append(Standing(
          one.name, statistics.fmean(rewards), difference, error,
          probability_above_zero(difference, error, degrees)
          if degrees else None,
      ))
    return standings

  def _repeats(self, chosen: Trial) -> list[Proposal]:
    """The last trainings of the references and of the answer."""
    found = chosen.candidate
    repeats = [
        Proposal(one.network, one.cost, repeat=True)
        for one in self._references if self._rewards(one.network)
    ] * (self._each - 1)
    if all(found.architecture != one.network for one in self._references):
      own = Proposal(found.architecture, found.cost, repeat=True)
      repeats += [own] * self._each
    return repeats

  def _rewards(self, network: Network) -> list[float]:
    trials = self._trials.get(network, {}).values()
    return [trial.evaluation.reward for trial in trials if trial.ok]

  def _noise(self) -> tuple[float, int]:
    """Variance of a network's rewards, pooled, and its degrees of freedom."""
    repeated = [
        rewards for network in self._trials
        if len(rewards := self._rewards(network)) > 1
    ]
    degrees = sum(len(rewards) - 1 for rewards in repeated)
    squares = sum(
        statistics.variance(rewards) * (len(rewards) - 1)
        for rewards in repeated
    )
    return squares / max(degrees, 1), degrees


def probability_above_zero(
    difference: float, error: float, degrees: int
) -> float:
  """Probability that a difference is above zero, given its estimate.

  Args:
    difference: estimate.
    error: its standard error; 0 where it is exact.
    degrees: of freedom of the error, one at least.

  Returns:
    Student's distribution function at difference / error.
  """
  if not error:
    return 0.5 + 0.5 * float(np.sign(difference))
  # Under the density of the angle, t = sqrt(degrees) * tan(angle): the tails
  # are within reach of an integral over equal steps.
  angle = math.atan(difference / error / math.sqrt(degrees))
  angles = np.linspace(0.0, angle, _POINTS)
  density = np.cos(angles) ** (degrees - 1) * math.exp(
      math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
  ) / math.sqrt(math.pi)
  return min(max(0.5 + float(np.trapezoid(density, angles)), 0.0), 1.0)
