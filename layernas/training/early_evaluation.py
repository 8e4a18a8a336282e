"""Evaluates a network once during its training and asks whether to go on."""

import dataclasses
from collections.abc import Callable

import jax

from layernas.training import hosts
from layernas.training.checkpoints import TrainingCheckpoints
from layernas.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class EarlyEvaluation:
  """At which step, and who decides.

  Attributes:
    fraction: of a training's steps, 0 < fraction < 1.
    hopeless: takes the accuracy of that step; whether to stop. Asked after that
      step and after every later one: what others come to meanwhile may decide.
      Where several processes train together, asked once.
  """

  fraction: float
  hopeless: Callable[[float], bool]

  def step(self, steps: int) -> int:
    """The step after which the network is evaluated.

    Args:
      steps: of the whole training.

    Returns:
      At least 1 and less than `steps`; 0, which is never, where there is none.
    """
    return min(max(1, round(self.fraction * steps)), steps - 1)


class EarlyPoint:
  """The early evaluation of one training, or none.

  Attributes:
    stopped: whether the training ended there.
  """

  def __init__(
      self, early: EarlyEvaluation | None, steps: int,
      run: TrainingCheckpoints, accuracy: Callable[[TrainState], float],
  ):
    """Prepares; `ends` is called after every step.

    Args:
      early: at which step, and who decides; None evaluates nothing.
      steps: of the whole training.
      run: keeps the accuracy with its checkpoints.
      accuracy: evaluates a replicated state.
    """
    self.stopped = False
    self._early = early
    self._step = early.step(steps) if early else 0
    self._run = run
    self._accuracy = accuracy
    self._asked = False

  def ends(self, step: int, state: TrainState) -> bool:
    """Whether the training ends here.

    Args:
      step: that has been done.
      state: after it, replicated; stays as it is.

    Returns:
      `stopped`.
    """
    if not self._early or not 0 < self._step <= step or self.stopped:
      return self.stopped
    if self._asked and jax.process_count() > 1:
      return False
    self._asked = True
    if step == self._step and self._run.early_accuracy is None:
      self._run.early_accuracy = self._accuracy(state)
    if self._run.early_accuracy is not None:
      # Each process asks its own search: all must do as the first one does.
      self.stopped = hosts.told(
          bool(self._early.hopeless(self._run.early_accuracy))
      )
    return self.stopped
