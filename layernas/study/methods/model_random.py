"""Model-based random search: what layer tables add, one sees against it."""

import dataclasses

import numpy as np

from layernas.plain import check_integers
from layernas.search.layer_pass import random_start
from layernas.search.model_based import ModelBased
from layernas.search.reward_model import RewardModel
from layernas.search.space import Architecture
from layernas.search.strategy import Context


@dataclasses.dataclass(eq=False)
class ModelRandom(ModelBased):
  """The schedule `model_guided` without layer tables.

  Design, reward model, choice and answer are the same, but the candidates are
  random networks in the target.

  Attributes:
    networks: random ones drawn for each fit of the model; those outside the
      target drop out.
  """

  networks: int = 1000

  def __post_init__(self) -> None:
    super().__post_init__()
    check_integers('model_random', networks=self.networks)

  def candidates(
      self, context: Context, model: RewardModel, best: Architecture
  ) -> dict[Architecture, float]:
    """Random networks in the target; one at least."""
    del best
    if met := self.random_candidates(context, model, self.networks):
      return met
    one = random_start(context.problem, context.rng)
    cost = self.scaled(context.problem.cost.costs(np.array([one])))
    return {one: float(model.mean(np.array([one]), cost)[0])}
