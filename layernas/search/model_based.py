"""The base of strategies that train what a reward model ranks highest.

Some networks are trained, the model is fitted, the candidates that look best
are trained, and so on. Each strategy defines where its candidates come from.
Trained networks compete with the candidates: one of which the model is not sure
is trained again. The answer is the trained network with the highest posterior
mean, because the best of many noisy rewards is mostly luck and the model pools
all trials. Several upper limits of the cost share the trials and the model, and
take turns when networks are picked.
"""

import abc
import dataclasses
import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence

import numpy as np

from layernas.errors import UserError
from layernas.search.design import random_networks
from layernas.search.design import single_changes
from layernas.search.design import spread
from layernas.search.layer_pass import random_start
from layernas.search.problem import Problem
from layernas.search.reward_model import RewardModel
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.strategy import Strategy
from layernas.search.trial import Proposal
from layernas.search.trial import Trial

# Candidates with the best means of which the deviations are looked at.
_LOOKED_AT = 100

# Trained networks with the best means of which they are looked at: these are
# small, so that a low mean never makes up for it.
_REPEATABLE = 20

# Networks of the design, the default among them, that are trained before it is
# known whether to stay near it.
_COMPARED = 6

# Trainings of the default network in a design large enough. Others are judged
# with it, and with one noisy training a good one is soon left for worse.
_OF_DEFAULT = 3

# Standard deviations of the random networks' rewards by which the default's
# must be above their mean.
_BETTER = 0.5

# Random networks that the scale of costs is taken from.
_SCALED_OVER = 200

# Share of their least cost below which logarithms do not fall.
_FLOOR = 1e-3

# Repeats that tell, when all give their reward again, that there is no noise.
_TELLING = 2


@dataclasses.dataclass(frozen=True)
class _Pool:
  """Networks that may be trained next, under one upper limit.

  Attributes:
    networks: distinct.
    means: by the model, shape (networks,).
    deviations: likewise.
  """

  networks: list[Architecture]
  means: np.ndarray
  deviations: np.ndarray

  def best(
      self, optimism: float, besides: Sequence[Architecture]
  ) -> Architecture | None:
    """The network that looks best.

    Args:
      optimism: deviations that are added to the mean.
      besides: networks that are left out.

    Returns:
      The network, the first of equals; None where none is left.
    """
    worth = (self.means + optimism * self.deviations).tolist()
    left = [i for i, one in enumerate(self.networks) if one not in besides]
    return self.networks[max(left, key=worth.__getitem__)] if left else None


@dataclasses.dataclass(frozen=True)
class _Ranking:
  """Trained networks that may answer under one upper limit.

  Attributes:
    networks: the one that the model expects most of first.
    best: first trial of that one.
    answer: `best`, or a trial of the default network.
  """

  networks: Sequence[Architecture] = ()
  best: Trial | None = None
  answer: Trial | None = None


@dataclasses.dataclass(eq=False)
class ModelBased(Strategy):
  """A strategy that trains a design, then batches of the best candidates.

  On one machine, the proposals are a function of settings, seed and results;
  another build of the linear algebra may round and propose differently. The
  strategy goes on until the budget is spent.

  Attributes:
    design: number of trainings before the first fit, at most half of the
      budget: of the default network, if it lies in the target, of random ones,
      and, if the default is better than those, of networks that differ from it
      in one layer.
    batch: number of networks trained between two fits.
    optimism: numbers of posterior standard deviations that are added to the
      mean when a network is picked; the networks of a batch take the values in
      turn.
    trainings: largest number of trainings of one network, except for the
      default network, which the design trains up to three times; 1 repeats
      none.
    certainty: probability, by the model, with which a network must be better
      than the default network to answer in its place.
    batches: number of batches picked by the model so far.
  """

  repeats = True
  transfers = True

  design: int = 40
  batch: int = 5
  optimism: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0, 5.0)
  trainings: int = 2
  certainty: float = 0.9

  def __post_init__(self) -> None:
    for name in ('design', 'batch', 'trainings'):
      if getattr(self, name) < 1:
        raise UserError(
            f'search.guided.{name}: {getattr(self, name)}: allowed are'
            ' integers >= 1'
        )
    if not 0.5 <= self.certainty < 1:
      raise UserError(
          f'search.guided.certainty: {self.certainty}: allowed are'
          ' probabilities from 0.5 to below 1'
      )
    self._threshold = statistics.NormalDist().inv_cdf(self.certainty)
    self.optimism = tuple(self.optimism)
    if not self.optimism or not all(value >= 0 for value in self.optimism):
      raise UserError(
          f'search.guided.optimism: {self.optimism}: allowed are numbers >= 0,'
          ' one at least'
      )
    self._trials: list[Trial] = []
    self._seconds = 0.0
    self._trainings: Counter[Architecture] = Counter()
    # Trainings that it did not ask for: a share of the design.
    self._given = 0
    self._rewards: dict[Architecture, list[float]] = {}
    # Whether each repeat gave another reward than its network had.
    self._differed: list[bool] = []
    self._fitted = 0
    self.batches = 0
    # One for each upper limit, as soon as there is a fit.
    self._rankings: list[_Ranking] = []

  @abc.abstractmethod
  def candidates(
      self, context: Context, model: RewardModel, best: Architecture
  ) -> dict[Architecture, float]:
    """Networks in the target with the model's means; some may be known.

    Args:
      context: context of the search, with the problem under a single upper
        limit.
      model: a fitted model.
      best: the trained network under that limit with the highest mean.
    """

  def generations(self, context: Context) -> Generations:
    """Yields the design, then a batch for each fit of the model."""
    self._context = context
    counts = context.problem.space.option_counts
    self._scale_costs(context)
    others = []
    for trials in context.others:
      others.append(RewardModel(counts))
      self._fit_to(others[-1], trials)
    self._model = RewardModel(counts, others)
    for trial in context.known:
      self._keep(trial)
      self._trainings[trial.candidate.architecture] += 1
    self._given = len(context.known)
    yield self._first_design(context)
    if second := self._second_design(context):
      yield second
    while True:
      self._fit()
      batch = self._pick(self._pools(context))
      self.batches += bool(batch)
      batch += self._random(context, self.batch - len(batch))
      if not batch:
        return 'no network was found that has not been trained'
      yield batch

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Keeps the trial; fits the model after a batch, and to the last trial."""
    self._seconds += trial.evaluation.seconds
    self._keep(trial)
    if trial.ok and proposal.repeat:
      rewards = self._rewards[proposal.architecture]
      self._differed.append(rewards[-1] != rewards[0])
    left = self._context.remaining()
    ends = left.trials < 1 or left.seconds <= 0
    # Of less than the design the variances would not be learned well.
    full = self._fitted and len(self._trials) >= self._fitted + self.batch
    if ends or full:
      self._fit()

  def _keep(self, trial: Trial) -> None:
    """Keeps a trial that has a reward."""
    if trial.ok:
      self._trials.append(trial)
      one = trial.candidate.architecture
      self._rewards.setdefault(one, []).append(trial.evaluation.reward)

  def plan(self, problem: Problem, trials: float) -> list[str]:
    """Sizes of the design and of what the model picks."""
    del problem
    design = min(self._size(trials), trials)
    if not math.isfinite(trials):
      return [f'{design} for the design', 'then what the model picks']
    return [
        f'{design} for the design',
        f'{int(trials) - design} for what the model picks',
    ]

  def answer(self, incumbent: Trial | None) -> Trial | None:
    """The trained network in the target with the highest posterior mean."""
    return self.answers([incumbent])[-1]

  def answers(
      self, incumbents: Sequence[Trial | None]
  ) -> list[Trial | None]:
    """Under each upper limit, the network with the highest posterior mean."""
    if not self._rankings:
      return list(incumbents)
    rankings = self._rankings[-len(incumbents):]
    return [
        one.answer or incumbent
        for one, incumbent in zip(rankings, incumbents, strict=True)
    ]

  def random_candidates(
      self, context: Context, model: RewardModel, number: int
  ) -> dict[Architecture, float]:
    """Random networks in the target with the model's means.

    Args:
      context: context of the search.
      model: a fitted model.
      number: number of networks drawn from the whole space; those outside the
        target are left out.
    """
    problem = context.problem
    rng = np.random.default_rng(context.rng.getrandbits(64))
    drawn = rng.integers(
        0, problem.space.option_counts, (number, len(problem.space))
    )
    costs = problem.cost.costs(drawn)
    inside = problem.admitted(drawn, costs)
    drawn, costs = drawn[inside], costs[inside]
    if not len(drawn):
      return {}
    means = model.mean(drawn, self.scaled(costs)).tolist()
    return dict(zip(map(tuple, drawn.tolist()), means, strict=True))

  def scaled(self, costs: np.ndarray) -> np.ndarray:
    """Costs as inputs of the model, in deviations of random networks' costs.

    Positive costs are replaced by their logarithms, because quality grows ever
    more slowly with cost.

    Args:
      costs: any shape.

    Returns:
      The same shape; 0 is the mean of networks drawn from the target.
    """
    values = self._flattened(costs)
    return (values - self._cost_middle) / self._cost_deviation

  def _scale_costs(self, context: Context) -> None:
    rng = random.Random(0)
    drawn = context.problem.cost.costs(np.array(
        random_networks(context.problem, rng, _SCALED_OVER)
    ))
    self._least_cost = drawn.min()
    values = self._flattened(drawn)
    self._cost_middle = values.mean()
    self._cost_deviation = values.std() or 1.0

  def _flattened(self, costs: np.ndarray) -> np.ndarray:
    if self._least_cost <= 0:
      return costs
    return np.log(np.maximum(costs, _FLOOR * self._least_cost))

  def _fit(self) -> None:
    """Fits the model to all trials, unless it knows them."""
    count = len(self._trials)
    if count < 2 or count == self._fitted:
      return
    self._fitted = count
    means = self._fit_to(self._model, self._trials)
    architectures = np.array([t.candidate.architecture for t in self._trials])
    costs = np.array([t.candidate.cost for t in self._trials])
    order = np.argsort(-means, kind='stable')
    self._rankings = []
    for problem in self._context.problem.each_limit:
      inside = problem.admitted(architectures, costs)
      ranked = [self._trials[i] for i in order if inside[i]]
      networks = list(dict.fromkeys(
          trial.candidate.architecture for trial in ranked
      ))
      best = ranked[0] if ranked else None
      answer = best and self._sure_of(best, networks)
      self._rankings.append(_Ranking(networks, best, answer))

  def _fit_to(
      self, model: RewardModel, trials: Sequence[Trial]
  ) -> np.ndarray:
    """Fits a model; returns its means of the trials' architectures."""
    return model.fit(
        np.array([trial.candidate.architecture for trial in trials]),
        self.scaled(np.array([trial.candidate.cost for trial in trials])),
        np.array([trial.evaluation.reward for trial in trials]),
    )

  def _sure_of(self, best: Trial, ranked: Sequence[Architecture]) -> Trial:
    """The best trial, or the default's where the model is not sure enough."""
    default = self._context.problem.space.default
    if default not in ranked or best.candidate.architecture == default:
      return best
    pair = np.array([best.candidate.architecture, default])
    means, covariance = self._model.mean_and_covariance(
        pair, self.scaled(self._context.problem.cost.costs(pair))
    )
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    deviation = math.sqrt(max(variance, 1e-12))
    if means[0] - means[1] > self._threshold * deviation:
      return best
    return next(
        trial for trial in self._trials
        if trial.candidate.architecture == default
    )

  def _pools(self, context: Context) -> list[_Pool]:
    """What may be trained next under each upper limit."""
    pools = []
    limits = zip(context.problem.each_limit, self._rankings, strict=False)
    for problem, ranking in limits:
      met: dict[Architecture, float] = {}
      if ranking.best is not None:
        met = self.candidates(
            dataclasses.replace(context, problem=problem), self._model,
            ranking.best.candidate.architecture,
        )
      pools.append(self._pool(met, ranking))
    return pools

  def _pool(
      self, met: dict[Architecture, float], ranking: _Ranking
  ) -> _Pool:
    """The best of candidates and of trained networks, looked at closely."""
    pool = [a for a in met if a not in self._trainings]
    pool = sorted(pool, key=met.__getitem__, reverse=True)[:_LOOKED_AT]
    pool += self._repeatable(ranking)[:_REPEATABLE]
    if not pool:
      return _Pool([], np.empty(0), np.empty(0))
    chosen = np.array(pool)
    return _Pool(pool, *self._model.mean_and_deviation(
        chosen, self.scaled(self._context.problem.cost.costs(chosen))
    ))

  def _pick(self, pools: Sequence[_Pool]) -> list[Proposal]:
    """A batch of what looks best; the limits take its places in turn."""
    picked: list[Architecture] = []
    for place in range(self.batch if pools else 0):
      # Moved on with every batch, so that each limit meets each optimism.
      pool = pools[(place + self.batches) % len(pools)]
      optimism = self.optimism[place % len(self.optimism)]
      best = pool.best(optimism, picked)
      if best is not None:
        picked.append(best)
    return self._propose(picked)

  def _repeatable(self, ranking: _Ranking) -> list[Architecture]:
    """Trained networks that may be trained again, best mean first."""
    if len(self._differed) >= _TELLING and not any(self._differed):
      return []
    return [
        one for one in ranking.networks
        if self._trainings[one] < self.trainings
    ]

  def _first_design(self, context: Context) -> list[Proposal]:
    """The default network, if it lies in the target, and random ones.

    Known trials take the place of as many random networks, and of trainings of
    the default network.
    """
    problem, size = context.problem, self._design_size(context)
    count = max(min(_COMPARED, size // 2), 1)
    default = problem.space.default
    wanted = int(problem.admits(default, problem.cost.cost(default)))
    far = self._far(context, count - wanted - self._given, [default] * wanted)
    if wanted and self.trainings > 1:
      wanted = max(min(_OF_DEFAULT, size // _OF_DEFAULT), 1)
    wanted = max(wanted - self._trainings[default], 0)
    proposals = self._propose([default] * min(wanted, 1) + far)
    for _ in range(wanted - 1):
      proposals += self._propose([default])
    return proposals

  def _second_design(self, context: Context) -> list[Proposal]:
    """Changes of the default network where it is better; random networks."""
    count = self._design_size(context) - self._trainings.total()
    if count < 1 and self._given:
      return []
    problem, rng, known = context.problem, context.rng, self._trainings
    near: list[Architecture] = []
    if self._default_is_better():
      near = single_changes(problem, rng, count, known)
    far = self._far(context, count - len(near), near)
    return self._propose(near + far)

  def _far(
      self, context: Context, count: int, near: list[Architecture]
  ) -> list[Architecture]:
    """Networks unlike these and unlike those that were trained."""
    if count < 1 and self._given:
      return []
    known = list(dict.fromkeys([*self._trainings, *near]))
    return spread(context.problem, context.rng, count, known)

  def _design_size(self, context: Context) -> int:
    """Networks of the design; what fits into seconds is told by the first."""
    left = context.remaining()
    begun = self._trainings.total() - self._given
    trials = left.trials
    if self._seconds:
      trials = min(trials, left.seconds * begun / self._seconds)
    return self._size(trials + begun)

  def _size(self, trials: float) -> int:
    """Of a design: half of the budget at most, two networks at least."""
    return int(max(min(self.design, trials // 2), 2)) if (
        math.isfinite(trials)
    ) else max(self.design, 2)

  def _default_is_better(self) -> bool:
    """Whether the default network beats most of the random ones."""
    default = self._context.problem.space.default
    others = [
        rewards[0] for one, rewards in self._rewards.items() if one != default
    ]
    if default not in self._rewards or not others:
      return False
    limit = np.mean(others) + _BETTER * np.std(others)
    return bool(np.mean(self._rewards[default]) > limit)

  def _random(self, context: Context, count: int) -> list[Proposal]:
    """Random networks in the target that have not been proposed."""
    drawn: list[Architecture] = []
    limits = context.problem.each_limit
    for attempt in range(20 * count):
      one = random_start(limits[attempt % len(limits)], context.rng)
      if one not in self._trainings and one not in drawn:
        drawn.append(one)
      if len(drawn) == count:
        break
    return self._propose(drawn)

  def _propose(self, architectures: list[Architecture]) -> list[Proposal]:
    price = self._context.problem.cost.cost
    proposals = [
        Proposal(one, price(one), repeat=one in self._trainings)
        for one in architectures
    ]
    self._trainings.update(architectures)
    return proposals
