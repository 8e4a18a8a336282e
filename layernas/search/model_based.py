"""What strategies share that train what a reward model ranks highest.

Some networks are trained, the model is fitted, those of the candidates that
look best are trained, and so on. Where candidates come from is the strategy's
own. The answer is the trained network that the model expects most of: the best
of many noisy rewards is mostly luck, and the model pools what it knows.
"""

import abc
import dataclasses

import numpy as np

from layernas.errors import UserError
from layernas.search.problem import Problem
from layernas.search.reward_model import RewardModel
from layernas.search.space import Architecture
from layernas.search.start import random_start
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.strategy import Proposal
from layernas.search.strategy import Strategy
from layernas.search.trial import Trial

# Candidates with the best means of which the deviations are looked at.
_LOOKED_AT = 100

# Random networks of a design that holds many others.
_RANDOM = 5


@dataclasses.dataclass(frozen=True)
class GuidedSettings:
  """What is trained between two fits of the model.

  Attributes:
    design: networks trained before the first fit: the default network and
      those that differ from it in one layer, where they lie in the target (at
      most twice `design` of them), then random ones, five at least.
    batch: networks trained between two fits.
    optimism: standard deviations of the posterior added to its mean when the
      networks to train are picked.
  """

  design: int = 20
  batch: int = 5
  optimism: float = 1.0

  def __post_init__(self) -> None:
    for name in ('design', 'batch'):
      if getattr(self, name) < 1:
        raise UserError(
            f'search.guided.{name}: {getattr(self, name)}: allowed are'
            ' integers >= 1'
        )
    if not self.optimism >= 0:
      raise UserError(
          f'search.guided.optimism: {self.optimism}: allowed are numbers >= 0'
      )


class ModelBased(Strategy):
  """Trains a design, then batches of the candidates that look best.

  What it proposes is a function of settings, seed and results on one machine;
  another build of the linear algebra may round otherwise and propose otherwise.
  """

  learns_from_repeats = True

  def __init__(self, guided: GuidedSettings = GuidedSettings()):
    """Makes a strategy that has not begun.

    Args:
      guided: of the rounds.
    """
    self.guided = guided
    self._trials: list[Trial] = []
    self._proposed: set[Architecture] = set()
    self._fitted = 0
    self._best: Trial | None = None

  @abc.abstractmethod
  def candidates(
      self, context: Context, model: RewardModel, best: Architecture
  ) -> dict[Architecture, float]:
    """Networks in the target with the model's means; known ones may be there.

    Args:
      context: of the search.
      model: fitted.
      best: the trained network that it expects most of.
    """

  def generations(self, context: Context) -> Generations:
    """Yields the design, then a batch for each fit of the model."""
    self._context = context
    self._model = RewardModel(context.problem.space.option_counts)
    yield self._design(context)
    while True:
      batch = []
      self._fit()
      if self._best is not None:
        batch = self._best_unseen(self.candidates(
            context, self._model, self._best.candidate.architecture
        ))
      batch += self._random(context, self.guided.batch - len(batch))
      if not batch:
        return 'no network was found that has not been trained'
      yield batch

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Keeps the trial; fits the model after a batch, and to the last trial."""
    del proposal
    if trial.ok:
      self._trials.append(trial)
    left = self._context.remaining()
    ends = left.trials < 1 or left.seconds <= 0
    # Of less than the design the variances would not be learned well.
    full = self._fitted and (
        len(self._trials) >= self._fitted + self.guided.batch
    )
    if ends or full:
      self._fit()

  def bound(self, problem: Problem) -> int | None:
    """None: it goes on until the budget is spent."""
    del problem
    return None

  def answer(self, incumbent: Trial | None) -> Trial | None:
    """The trained network in the target that the model expects most of."""
    return self._best or incumbent

  def _fit(self) -> None:
    """Fits the model to all trials, unless it knows them."""
    count = len(self._trials)
    if count < 2 or count == self._fitted:
      return
    self._fitted = count
    architectures = np.array([t.candidate.architecture for t in self._trials])
    costs = np.array([t.candidate.cost for t in self._trials])
    means = self._model.fit(
        architectures, np.array([t.evaluation.reward for t in self._trials])
    )
    inside = self._context.problem.target.meets(costs, costs)
    if inside.any():
      best = int(np.argmax(np.where(inside, means, -np.inf)))
      self._best = self._trials[best]

  def _best_unseen(self, met: dict[Architecture, float]) -> list[Proposal]:
    unseen = [a for a in met if a not in self._proposed]
    unseen = sorted(unseen, key=met.__getitem__, reverse=True)[:_LOOKED_AT]
    if not unseen:
      return []
    means, deviations = self._model.mean_and_deviation(np.array(unseen))
    ranked = np.argsort(
        -(means + self.guided.optimism * deviations), kind='stable'
    )
    return self._propose([unseen[i] for i in ranked[:self.guided.batch]])

  def _design(self, context: Context) -> list[Proposal]:
    """Single changes of the default network, and random networks."""
    problem, count = context.problem, self.guided.design
    default = problem.space.default
    changes = [default] + [
        default[:layer] + (option,) + default[layer + 1:]
        for layer, options in enumerate(problem.space.option_counts)
        for option in range(options) if option != default[layer]
    ]
    changes = [a for a in changes if problem.cost.cost(a) in problem.target]
    if len(changes) > 2 * count:
      changes = context.rng.sample(changes, 2 * count)
    near = self._propose(changes)
    return near + self._random(context, max(_RANDOM, count - len(near)))

  def _random(self, context: Context, count: int) -> list[Proposal]:
    """Random networks in the target that have not been proposed."""
    drawn: list[Architecture] = []
    for _ in range(20 * count):
      one = random_start(context.problem, context.rng)
      if one not in self._proposed and one not in drawn:
        drawn.append(one)
      if len(drawn) == count:
        break
    return self._propose(drawn)

  def _propose(self, architectures: list[Architecture]) -> list[Proposal]:
    self._proposed.update(architectures)
    price = self._context.problem.cost.cost
    return [Proposal(a, price(a)) for a in architectures]
