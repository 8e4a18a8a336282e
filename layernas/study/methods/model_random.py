"""Model-based random search: what layer tables add, one sees against it."""

from typing import Any

import numpy as np

from layernas.search.layer_pass import random_start
from layernas.search.model_based import GuidedSettings
from layernas.search.model_based import ModelBased
from layernas.search.reward_model import RewardModel
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.study.methods.baseline import check_positive


class ModelRandom(ModelBased):
  """The schedule `model_guided` without layer tables.

  Design, reward model, choice and answer are the same, but the candidates are
  random networks in the target.
  """

  def __init__(self, networks: int = 1000, **guided: Any):
    """Makes a strategy that has not begun.

    Args:
      networks: random ones drawn for each fit of the model; those outside the
        target drop out.
      **guided: fields of `model_based.GuidedSettings`.
    """
    super().__init__(GuidedSettings(**guided))
    check_positive('model_random', networks=networks)
    self.networks = networks
    self._rejected = 0

  @property
  def infeasible(self) -> int:
    """Networks drawn outside the target."""
    return self._rejected

  def candidates(
      self, context: Context, model: RewardModel, best: Architecture
  ) -> dict[Architecture, float]:
    """Random networks in the target; one at least."""
    del best
    problem = context.problem
    rng = np.random.default_rng(context.rng.getrandbits(64))
    drawn = rng.integers(
        0, problem.space.option_counts, (self.networks, len(problem.space))
    )
    costs = problem.cost.costs(drawn)
    inside = drawn[problem.target.meets(costs, costs)]
    self._rejected += len(drawn) - len(inside)
    if not len(inside):
      inside = np.array([random_start(problem, context.rng)])
    means = model.mean(inside).tolist()
    return dict(zip(map(tuple, inside.tolist()), means, strict=True))
