"""Schedule `model_guided` (ours): layer tables of modelled rewards.

A pass over the layer tables costs no training here: the reward of an entry is
what a model of the trials so far expects. Where rewards and costs add up over
layers and the buckets resolve the costs, the pass finds the model's best
network in the target. What the tables met that looks best is trained, the model
fitted again, and so on.
"""

import dataclasses

import numpy as np

from layernas.errors import UserError
from layernas.search.buckets import SPACINGS
from layernas.search.buckets import BucketAxis
from layernas.search.layer_pass import TableSettings
from layernas.search.prefix import child_costs
from layernas.search.problem import Problem
from layernas.search.reward_model import RewardModel
from layernas.search.space import Architecture
from layernas.search.start import layer_order
from layernas.search.start import random_start
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.strategy import Proposal
from layernas.search.strategy import Strategy
from layernas.search.table import Entry
from layernas.search.table import LayerTable
from layernas.search.trial import Trial


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


class ModelGuided(Strategy):
  """Trains what passes over model-filled layer tables find."""

  def __init__(
      self, tables: TableSettings = TableSettings(buckets=10, keep=2),
      guided: GuidedSettings = GuidedSettings(),
  ):
    """Makes a schedule that has not begun.

    Args:
      tables: of every pass.
      guided: of the rounds.
    """
    self.tables = tables
    self.guided = guided
    self.evaluations = 0
    self._infeasible = 0
    self._seen: dict[Architecture, list[float]] = {}
    self._proposed: set[Architecture] = set()
    self._answer: Architecture | None = None

  def generations(self, context: Context) -> Generations:
    """Yields the design, then a batch for each fit of the model."""
    problem = context.problem
    self._price = problem.cost.cost
    yield self._design(context)
    model = RewardModel(problem.space.option_counts)
    number = 0
    while True:
      batch = []
      if self._fit(model, problem):
        batch = self._best_unseen(model, self._met(model, context, number))
        number += 1
      missing = self.guided.batch - len(batch)
      batch += self._random(context, missing) if missing else []
      if not batch:
        return 'no network was found that has not been trained'
      yield batch

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Keeps the reward for the next fit."""
    if trial.ok:
      rewards = self._seen.setdefault(proposal.architecture, [])
      rewards.append(trial.evaluation.reward)

  @property
  def infeasible(self) -> int:
    """Children dropped because no completion of theirs reaches the target."""
    return self._infeasible

  def bound(self, problem: Problem) -> int | None:
    """None: it goes on until the budget is spent."""
    del problem
    return None

  def pass_bound(self, problem: Problem) -> int:
    """Largest number of model evaluations of a pass: H * keep * sum |S_l|."""
    return self.tables.buckets * self.tables.keep * sum(
        problem.space.option_counts
    )

  def answer(self) -> Architecture | None:
    """The trained network that the model expects most of."""
    return self._answer

  def _fit(self, model: RewardModel, problem: Problem) -> bool:
    """Fits the model to all trials; False where there are too few."""
    pairs = [(a, r) for a, rs in self._seen.items() for r in rs]
    if len(pairs) < 2:
      return False
    architectures = np.array([a for a, _ in pairs])
    model.fit(architectures, np.array([r for _, r in pairs]))
    costs = problem.cost.costs(architectures)
    inside = np.flatnonzero(problem.target.meets(costs, costs))
    if not inside.size:
      return False
    best = int(np.argmax(model.mean(architectures[inside])))
    self._answer = tuple(architectures[inside[best]].tolist())
    return True

  def _met(
      self, model: RewardModel, context: Context, number: int
  ) -> dict[Architecture, float]:
    """Networks in the target that two passes met, with modelled rewards."""
    met: dict[Architecture, float] = {}
    layers = len(context.problem.space)
    for start, order in (
        (self._answer, layer_order('alternating', layers, number, context.rng)),
        (random_start(context.problem, context.rng),
         layer_order('random', layers, number, context.rng)),
    ):
      met |= self._pass(model, context.problem, start, order)
    return met

  def _pass(
      self, model: RewardModel, problem: Problem, start: Architecture,
      order: tuple[int, ...],
  ) -> dict[Architecture, float]:
    """One pass over the layer tables, filled with the model's means."""
    met: dict[Architecture, float] = {}
    table = LayerTable(BucketAxis(()), keep=1)
    table.place(Entry(start, problem.cost.cost(start), 0.0))
    for length, layer in enumerate(order):
      prefixes = np.array([e.architecture for e in table.entries()])
      priced = child_costs(problem.cost, prefixes, order[:length], layer)
      rows, options = np.nonzero(problem.target.meets(priced.low, priced.high))
      self._infeasible += priced.cost.size - rows.size
      if not rows.size:
        return met
      children = prefixes[rows]
      children[:, layer] = options
      costs = priced.cost[rows, options]
      means = model.mean(children).tolist()
      self.evaluations += rows.size
      axis = SPACINGS[self.tables.spacing](costs, self.tables.buckets)
      table = LayerTable(axis, self.tables.keep)
      for child, cost, mean in zip(
          map(tuple, children.tolist()), costs.tolist(), means, strict=True
      ):
        table.place(Entry(child, cost, mean))
        if cost in problem.target:
          met[child] = mean
    return met

  def _best_unseen(
      self, model: RewardModel, met: dict[Architecture, float]
  ) -> list[Proposal]:
    unseen = [a for a in met if a not in self._proposed]
    unseen = sorted(unseen, key=met.__getitem__, reverse=True)[:200]
    if not unseen:
      return []
    means, deviations = model.mean_and_deviation(np.array(unseen))
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
    return near + self._random(context, max(5, count - len(near)))

  def _random(self, context: Context, count: int) -> list[Proposal]:
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
    return [Proposal(a, self._price(a)) for a in architectures]
