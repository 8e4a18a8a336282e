"""Repeats of finalists (ours), which separate good networks from lucky ones.

One training is a noisy measure, and the best of many rewards is mostly luck.
`Finalists` wraps any strategy: in the last share of the budget, the networks
with the best rewards are evaluated again, the better half of them more often
(sequential halving). The answer is the network with the best mean, after the
means are shrunk towards that of the better half of the search's networks.
"""

import dataclasses
import math
import statistics
from collections.abc import Generator
from collections.abc import Sequence

from layernas.errors import UserError
from layernas.plain import is_number
from layernas.plain import plain
from layernas.search.problem import Problem
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.strategy import Portions
from layernas.search.strategy import Strategy
from layernas.search.strategy import Wrapper
from layernas.search.trial import Proposal
from layernas.search.trial import Trial

Rounds = Generator[list[Proposal], None, bool]
"""Yields repeats; returns whether they told anything new."""


class Finalists(Wrapper):
  """A strategy that repeats the best networks of another one.

  If the first repeat reproduces its reward to the last bit, rewards have no
  noise: nothing more is repeated, and the wrapped strategy continues.
  """

  def __init__(self, inner: Strategy, share: float = 0.2):
    """Wraps a strategy that has not begun.

    Args:
      inner: the strategy that searches.
      share: share of the budget for repeats. If the wrapped strategy ends
        before the budget, there are as many repeats as if the share had begun
        then.

    Raises:
      UserError: the share is not between 0 and 1.
    """
    if not is_number(plain(share)) or not 0 < share < 1:
      raise UserError(
          f'search.finalists: {share}: allowed are shares above 0 and below 1,'
          ' or 0 for no repeats'
      )
    super().__init__(inner)
    self.share = share
    self._evaluations: dict[int, float] = {}
    # Of networks in the target: first trial, and the reward of each trial.
    self._firsts: dict[Architecture, Trial] = {}
    self._rewards: dict[Architecture, dict[int, float]] = {}
    self._groups: list[_Group] = []

  def around(self, proposer: Strategy) -> Strategy:
    """Wraps another strategy in the same way, all anew."""
    return Finalists(self.inner.around(proposer), self.share)

  def generations(self, context: Context) -> Generations:
    """Yields what the inner strategy proposes, then the repeats."""
    self._problem = context.problem
    for trial in context.known:
      self._keep(trial)
    inner = Portions(self.inner.generations(context))
    ended = yield from self._search(context, inner, self.share)
    noisy = yield from self._rounds(context)
    if not noisy and not ended:
      ended = yield from self._search(context, inner, 0.0)
    return ended or 'the finalists were repeated'

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Keeps the reward; the inner strategy hears of no repeat."""
    # What other searches know has cost this one's budget nothing.
    if trial.candidate.id >= 0:
      self._evaluations[trial.candidate.id] = trial.evaluation.seconds
    self._keep(trial)
    if not proposal.repeat:
      self.inner.observe(proposal, trial)

  def _keep(self, trial: Trial) -> None:
    """Keeps the reward of a network in the target."""
    candidate = trial.candidate
    if trial.ok and self._problem.admits(
        candidate.architecture, candidate.cost
    ):
      self._firsts.setdefault(candidate.architecture, trial)
      rewards = self._rewards.setdefault(candidate.architecture, {})
      rewards[candidate.id] = trial.evaluation.reward

  def rivals(self, proposal: Proposal) -> list[int] | None:
    """Of the inner strategy; a repeat is meant for no table."""
    return None if proposal.repeat else self.inner.rivals(proposal)

  def bound(self, problem: Problem) -> int | None:
    """The inner strategy's bound and its repeats."""
    bound = self.inner.bound(problem)
    return None if bound is None else bound + self._repeats_after(bound)

  def answer(self, incumbent: Trial | None) -> Trial | None:
    """The finalist with the best shrunken mean; before, the inner answer."""
    return self._best_of(-1) or self.inner.answer(incumbent)

  def answers(
      self, incumbents: Sequence[Trial | None]
  ) -> list[Trial | None]:
    """Under each upper limit the answer among its own finalists."""
    return [
        self._best_of(number) or answer
        for number, answer in enumerate(self.inner.answers(incumbents))
    ]

  def _best_of(self, number: int) -> Trial | None:
    """First trial of a group's best finalist, where any has been repeated."""
    if not self._groups:
      return None
    group, count = self._groups[number], len(self._evaluations)
    if not any(len(self._rewards[one]) > 1 for one in group.finalists):
      return None
    if group.answer is None or group.answer[0] != count:
      means = group.means(
          [list(self._rewards[one].values()) for one in group.finalists],
          [self._firsts[one].evaluation.reward for one in self._under(group)],
      )
      best = group.finalists[means.index(max(means))]
      group.answer = count, self._firsts[best]
    return group.answer[1]

  def _under(self, group: '_Group') -> list[Architecture]:
    """Networks with a reward that a group's limit admits, the oldest first."""
    return [
        one for one, trial in self._firsts.items()
        if trial.candidate.cost in group.problem.target
    ]

  def _search(
      self, context: Context, inner: Portions, share: float
  ) -> Generator[list[Proposal], None, str]:
    """The inner strategy's proposals until a share of the budget is left.

    Returns:
      Why the inner strategy ended, or '' where it did not.
    """
    used = len(self._evaluations)
    whole = context.remaining().trials + used
    spent = sum(self._evaluations.values())
    seconds = context.remaining().seconds + spent

    def left() -> float:
      left = context.remaining()
      return min(
          left.trials - math.floor(share * whole)
          if math.isfinite(whole) else math.inf,
          # How many fit into seconds is not known before.
          math.inf if math.isinf(seconds)
          else int(left.seconds > share * seconds),
      )

    return (yield from inner.while_affordable(left))

  def _rounds(self, context: Context) -> Rounds:
    """Sequential halving under each upper limit, with its share of repeats."""
    left, limits = self._affordable(context), context.problem.each_limit
    self._groups = [_Group(problem) for problem in limits]
    noisy = False
    for number, group in enumerate(self._groups):
      share = left // (len(limits) - number)
      left -= share
      ranked = sorted(
          self._under(group),
          key=lambda one: -self._firsts[one].evaluation.reward,
      )
      group.finalists = pending = ranked[:finalists_of(share)]
      if pending and not noisy:
        yield self._repeats(pending[:1])
        rewards = list(self._rewards[pending[0]].values())
        # A repeat that failed says nothing of the noise.
        if len(rewards) > 1 and len(set(rewards)) == 1:
          break
        # The first one has had a repeat of the first round.
        noisy, share, pending = True, share - 1, pending[1:]
      yield from self._halved(group.finalists, pending, share)
    if not noisy:
      self._groups = []
    return noisy

  def _halved(
      self, ranked: list[Architecture], pending: list[Architecture], left: int
  ) -> Generator[list[Proposal], None, None]:
    """Repeats finalists, the better half of them more often.

    Args:
      ranked: the finalists, the best first.
      pending: those whose repeat of the first round is still to come.
      left: repeats that they share.
    """
    while left and len(ranked) > 1:
      rounds = math.ceil(math.log2(len(ranked)))
      repeats = (pending + ranked * left)[:left // rounds]
      left -= len(repeats)
      yield self._repeats(repeats)
      ranked = pending = self._better_half(ranked)

  def _better_half(self, finalists: list[Architecture]) -> list[Architecture]:
    means = {
        one: statistics.fmean(self._rewards[one].values()) for one in finalists
    }
    ranked = sorted(finalists, key=means.__getitem__, reverse=True)
    return ranked[:(len(ranked) + 1) // 2]

  def _repeats(self, architectures: list[Architecture]) -> list[Proposal]:
    return [
        Proposal(one, self._problem.cost.cost(one), repeat=True)
        for one in architectures
    ]

  def _repeats_after(self, trials: int) -> int:
    return math.floor(self.share / (1 - self.share) * trials + 1e-9)

  def _affordable(self, context: Context) -> int:
    """Evaluations that the repeats may take."""
    left = context.remaining()
    count = min(self._repeats_after(len(self._evaluations)), left.trials)
    seconds = sum(self._evaluations.values())
    if math.isfinite(left.seconds) and seconds > 0:
      each = seconds / len(self._evaluations)
      count = min(count, max(left.seconds, 0.0) // each)
    return int(count)


def finalists_of(repeats: int) -> int:
  """Most finalists that can all be repeated in every round.

  Args:
    repeats: evaluations that they share.

  Returns:
    The largest n with n * ceil(log2(n)) <= repeats; one where even two are too
    many, none without repeats.
  """
  count = 1
  while (count + 1) * math.ceil(math.log2(count + 1)) <= repeats:
    count += 1
  return min(count, repeats)


class ShrunkenMeans:
  """Posterior means of networks under normal worths and normal errors.

  What does not change from call to call is not computed again: rewards are
  only ever added, to the networks' lists and to the population.
  """

  def __init__(self) -> None:
    """Knows nothing yet."""
    self._size = 0
    self._middle = self._spread = 0.0
    self._statistics: dict[int, tuple[int, float, float]] = {}

  def __call__(
      self, rewards: list[list[float]], population: list[float]
  ) -> list[float]:
    """Means of networks.

    Args:
      rewards: of each network, one or more; of one at least two. The same
        networks in every call.
      population: first rewards of all networks; their better half gives the
        prior, for the lower tail of rewards is long.

    Returns:
      A mean for each network.
    """
    if self._size != len(population):
      self._size = len(population)
      half = sorted(population)[len(population) // 2:]
      self._middle = statistics.fmean(half)
      self._spread = statistics.pvariance(half)
    known = [self._known(*item) for item in enumerate(rewards)]
    error = sum(
        variance * (count - 1) for count, _, variance in known if count > 1
    ) / sum(count - 1 for count, _, _ in known if count > 1)
    worth = max(self._spread - error, 0.1 * error, 1e-12)
    return [
        self._middle + worth / (worth + error / count) * (mean - self._middle)
        for count, mean, _ in known
    ]

  def _known(
      self, network: int, rewards: list[float]
  ) -> tuple[int, float, float]:
    """Number, mean and variance of a network's rewards."""
    count = len(rewards)
    if self._statistics.get(network, (0,))[0] != count:
      variance = statistics.variance(rewards) if count > 1 else 0.0
      self._statistics[network] = count, statistics.fmean(rewards), variance
    return self._statistics[network]


@dataclasses.dataclass
class _Group:
  """Finalists under one upper limit.

  Attributes:
    problem: with that limit.
    finalists: the best reward first.
    means: of them.
    answer: the best of them, and of how many evaluations.
  """

  problem: Problem
  finalists: list[Architecture] = dataclasses.field(default_factory=list)
  means: ShrunkenMeans = dataclasses.field(default_factory=ShrunkenMeans)
  answer: tuple[int, Trial] | None = None
