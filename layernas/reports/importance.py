"""How much each layer and each option matters, by the trials of a search.

A reward model is fitted to the trials, without a term for the cost: what an
option gains because it makes the network larger is part of its effect.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from layernas import activity
from layernas.errors import UserError
from layernas.reports.option_labels import option_labels
from layernas.search import Trial
from layernas.search.reward_model import PARTS
from layernas.search.reward_model import RewardModel
from layernas.search.space import SearchSpace

LEAST = 10
"""Trials below which effects are mostly the model's prior."""

_MOST = 2000
"""Trials that are taken at most, evenly spaced: a fit takes the third power of
their number."""


@dataclasses.dataclass(frozen=True)
class OptionEffect:
  """What an option does to the reward.

  Attributes:
    label: of the option.
    effect: posterior mean, in standard deviations of the rewards; the effects
      of a layer sum to zero.
    error: its standard deviation.
    trials: with that option.
  """

  label: str
  effect: float
  error: float
  trials: int

  @property
  def sureness(self) -> float:
    """From 0 to 1: how clearly the effect differs from zero.

    It is 1 from two standard deviations on.
    """
    return min(abs(self.effect) / (2 * self.error), 1.0)


@dataclasses.dataclass(frozen=True)
class LayerEffect:
  """What the choice in a layer is worth.

  Attributes:
    name: of the layer.
    options: in their order.
  """

  name: str
  options: tuple[OptionEffect, ...]

  @property
  def spread(self) -> float:
    """The best option's effect less the worst's."""
    effects = [option.effect for option in self.options]
    return max(effects) - min(effects)


@dataclasses.dataclass(frozen=True)
class Importance:
  """Effects of all layers with a choice.

  Attributes:
    layers: in the order of the space.
    trials: that the model was fitted to.
    deviation: of the rewards of these trials.
    shares: of the variance of rewards that the model puts down to single
      layers, to pairs of layers, to all layers together, and to noise; they
      sum to one.
  """

  layers: tuple[LayerEffect, ...]
  trials: int
  deviation: float
  shares: tuple[float, ...]


def importance(space: SearchSpace, trials: Sequence[Trial]) -> Importance:
  """Estimates the effects.

  Args:
    space: that was searched.
    trials: of the search; those without a reward and those of networks that
      are not of the space do not count.

  Returns:
    The effects.

  Raises:
    UserError: the trials are too few, do not differ or are of another space;
      or the space has no choice.
  """
  if max(space.option_counts) == 1:
    raise UserError('search space: one network: allowed are several')
  used = [
      trial for trial in trials
      if trial.ok and not isinstance(trial.candidate.architecture, str)
  ]
  if len(used) < LEAST:
    raise UserError(
        f'trials with a reward: {len(used)}: allowed are at least {LEAST}'
    )
  for trial in used:
    space.check(trial.candidate.architecture)
  chosen = np.linspace(0, len(used) - 1, min(len(used), _MOST)).astype(int)
  used = [used[index] for index in chosen]
  architectures = np.array([trial.candidate.architecture for trial in used])
  rewards = np.array([trial.evaluation.reward for trial in used])
  if rewards.min() == rewards.max():
    raise UserError(
        f'rewards of the trials: all are {rewards[0]:.6g}: allowed are some'
        ' that differ'
    )
  model = RewardModel(space.option_counts)
  with activity.doing('estimating the importance of layers'):
    model.fit(architectures, np.zeros(len(used)), rewards)
    means, errors = model.effects()
  layers, start = [], 0
  for index, layer in enumerate(space.layers):
    labels = option_labels(layer)
    counts = np.bincount(architectures[:, index], minlength=len(labels))
    end = start + len(labels)
    layers.append(LayerEffect(layer.name, tuple(map(
        OptionEffect, labels, means[start:end].tolist(),
        errors[start:end].tolist(), counts.tolist(),
    ))))
    start = end
  # With costs of zero the cost's variance explains nothing.
  parts = np.array([*model.variances[:PARTS], model.variances[-1]])
  return Importance(
      tuple(layer for layer in layers if len(layer.options) > 1),
      len(used), float(rewards.std()), tuple((parts / parts.sum()).tolist()),
  )
