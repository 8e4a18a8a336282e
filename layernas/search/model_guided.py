"""Schedule `model_guided` (ours): layer tables of modelled rewards.

A pass over the layer tables costs no training here, because the reward of an
entry is what a model of the trials so far expects. If rewards and costs add up
over layers and the buckets resolve the costs, the pass finds the model's best
network in the target. The networks of the passes that look best are trained,
the model is fitted again, and so on.
"""

import dataclasses

import numpy as np

from layernas.plain import check_integers
from layernas.search.layer_pass import TableSettings
from layernas.search.layer_pass import layer_order
from layernas.search.layer_pass import random_start
from layernas.search.model_based import ModelBased
from layernas.search.problem import Problem
from layernas.search.reward_model import RewardModel
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.search.table import SPACINGS
from layernas.search.table import best_in_buckets

# Between random networks and trials, at most: they are what a proposal's time
# goes into.
_COVARIANCES = 1_000_000


@dataclasses.dataclass(eq=False)
class ModelGuided(ModelBased):
  """A schedule that fills layer tables by a reward model.

  Attributes:
    buckets: H, buckets per layer of every pass.
    keep: entries per bucket.
    spacing: how the cost axis is cut, a key of `table.SPACINGS`.
    random: number of networks drawn from the whole space for each batch, fewer
      after many trials; those in the target are candidates, too. Passes at the
      model's mean miss what the model does not know.
    evaluations: number of rewards that the passes asked the model for.
  """

  buckets: int = 10
  keep: int = 2
  random: int = 4000
  spacing: str = TableSettings.spacing

  def __post_init__(self) -> None:
    super().__post_init__()
    # Checks them.
    TableSettings(self.buckets, self.keep, self.spacing)
    check_integers('search.guided', least=0, random=self.random)
    self.evaluations = 0
    self._infeasible = 0

  @property
  def infeasible(self) -> int:
    """Number of children dropped because no completion reaches the target."""
    return self._infeasible

  def pass_bound(self, problem: Problem) -> int:
    """Largest number of model evaluations of a pass: H * keep * sum |S_l|."""
    return self.buckets * self.keep * sum(problem.space.option_counts)

  def candidates(
      self, context: Context, model: RewardModel, best: Architecture
  ) -> dict[Architecture, float]:
    """Networks of two passes in the target, and random ones.

    One begins at the best network and takes the layers from both ends in turn,
    the other begins at a random network and takes them in random order.
    """
    problem, rng = context.problem, context.rng
    layers, number = len(problem.space), self.batches
    near = layer_order('alternating', layers, number, rng)
    met = self.model_pass(model, problem, best, near)
    start = random_start(problem, rng)
    far = layer_order('random', layers, number, rng)
    met |= self.model_pass(model, problem, start, far)
    if not self.random:
      return met
    number = min(self.random, _COVARIANCES // model.trials)
    return met | self.random_candidates(context, model, number)

  def model_pass(
      self, model: RewardModel, problem: Problem, start: Architecture,
      order: tuple[int, ...],
  ) -> dict[Architecture, float]:
    """One pass over the layer tables, filled with the model's means.

    Args:
      model: the model whose `children_means` are the rewards.
      problem: space, cost and target.
      start: network whose options undecided layers have.
      order: order in which layers are decided.

    Returns:
      The networks of the pass in the target, with their modelled rewards.
    """
    met: dict[Architecture, float] = {}
    prefixes = np.array([start])
    for length, layer in enumerate(order):
      priced, feasible = problem.children(prefixes, order[:length], layer)
      rows, options = np.nonzero(feasible)
      self._infeasible += priced.cost.size - rows.size
      if not rows.size:
        break
      children = prefixes[rows]
      children[:, layer] = options
      costs = priced.cost[rows, options]
      means = model.children_means(
          prefixes, layer, self.scaled(priced.cost)
      )[rows, options]
      self.evaluations += means.size
      inside = problem.admitted(children, costs)
      met.update(zip(
          map(tuple, children[inside].tolist()), means[inside].tolist(),
          strict=True,
      ))
      axis = SPACINGS[self.spacing](costs, self.buckets)
      prefixes = children[best_in_buckets(axis, self.keep, costs, means)]
    return met
