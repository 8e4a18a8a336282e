"""Rewards of candidates, by their names in the config."""

import dataclasses
import numbers
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from layernas import lookup
from layernas.errors import UserError

Metrics = Mapping[str, float]
"""Metrics of a finished training: 'accuracy', 'top5' and 'loss' on the
validation images, 'train_accuracy' and 'train_loss' of the last logged
steps."""

REWARDS: Mapping[str, Callable[[Metrics], float]] = {
    'accuracy': lambda metrics: metrics['accuracy'],
    'top5': lambda metrics: metrics['top5'],
    'loss': lambda metrics: -metrics['loss'],
}
"""Functions of the metrics by name; larger is better."""


@dataclasses.dataclass(frozen=True)
class Reward:
  """A reward with its name.

  Attributes:
    name: name in the config.
    function: function of the metrics.
  """

  name: str
  function: Callable[[Metrics], float]

  def __call__(self, metrics: Metrics) -> float:
    """The reward of a training.

    Args:
      metrics: of the training.

    Returns:
      A number, perhaps none that is finite.

    Raises:
      UserError: the function is the user's own and raised something, or
        returned something else; or the task has no such metric.
    """
    try:
      with lookup.blamed('reward', self.function):
        found: Any = self.function(metrics)
    except KeyError as error:
      if self.name not in REWARDS:
        raise
      raise UserError(
          f'reward: {self.name!r}: this task measures {sorted(metrics)};'
          ' allowed is loss, or module:function of these'
      ) from error
    if isinstance(found, bool) or not isinstance(found, numbers.Real):
      raise UserError(
          f'reward: {self.name!r} returned {found!r} for {dict(metrics)};'
          ' allowed is a number'
      )
    return float(found)


def configured_reward(config: Any) -> Reward:
  """The reward that a config names.

  Args:
    config: config with `reward`.

  Returns:
    The reward.

  Raises:
    UserError: there is no such reward.
  """
  return Reward(config.reward, lookup.find('reward', config.reward, REWARDS))
