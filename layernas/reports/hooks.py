"""What follows a run while it goes on: progress, status, TensorBoard, records.

A run has one list of hooks and calls each of them, in the order of the list, at
the moments that the methods of `Hook` name.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from layernas.search import Candidate
from layernas.search import Search
from layernas.search import Trial


@dataclasses.dataclass(frozen=True)
class Training:
  """One training of a run, as hooks see it.

  Attributes:
    name: of its curves, which is unique in the run, such as 'trials/000003'
      or 'winner/seed0'.
    title: for people, such as 'trial 3'.
    steps: of the whole training.
    candidate: that is trained; None in a final training.
  """

  name: str
  title: str
  steps: int
  candidate: Candidate | None = None


def training_of(candidate: Candidate, steps: int) -> Training:
  """The training of a candidate, as hooks see it.

  Args:
    candidate: of a search.
    steps: of its training.

  Returns:
    The training.
  """
  return Training(
      f'trials/{candidate.id:06d}', f'trial {candidate.id}', steps, candidate
  )


class Hook:
  """Follows a search or a final training; every method does nothing here.

  A hook of your own overrides the moments that it needs and goes to the run in
  a list: `run_search(config, workdir, hooks=[MyHook()])`. It needs to know:

  - Process 0 alone calls hooks, in its main thread, so that they may write and
    print. The run waits for them.
  - What a hook raises ends the run. What should not end it, such as a chart
    that cannot be drawn, the hook catches itself.
  - Hooks change no result: a search asks, trains and records the same trials
    with any list of them.
  - A final training has no candidates and calls `before_training`,
    `after_step`, `after_test`, `after_training` and `close` alone.
  """

  def before_search(self, search: Search, steps: int, page: str) -> None:
    """The search is about to go on.

    Args:
      search: with the trials of earlier runs replayed; stays the same object,
        so that a hook may keep it and look at it later.
      steps: of every candidate's training.
      page: address of a page that shows the workers; '' where there is none.
    """

  def before_training(self, training: Training, worker: str) -> None:
    """A training begins, perhaps once more after a failed attempt.

    Args:
      training: that begins.
      worker: name of the worker that it is on; '' in this process.
    """

  def after_step(
      self, training: Training, step: int, metrics: Mapping[str, float]
  ) -> None:
    """A training has come to a step whose metrics are logged.

    Args:
      training: under way; never one that the search no longer waits for.
      step: from 1.
      metrics: means since the last logged step, such as 'train_loss'.
    """

  def after_test(
      self, training: Training, metrics: Mapping[str, float]
  ) -> None:
    """A final training was tested.

    Args:
      training: under way no more.
      metrics: on the test split, such as 'accuracy'.
    """

  def after_failure(self, training: Training | None, message: str) -> None:
    """An attempt failed or a worker was lost; another attempt follows.

    Args:
      training: that is tried again; None where the worker had none.
      message: why.
    """

  def after_training(self, training: Training) -> None:
    """A training has ended; the trial of a candidate may still have to wait.

    Args:
      training: that has ended, well or badly.
    """

  def after_trial(self, trial: Trial) -> None:
    """A trial is finished; trials come in the order of their ids.

    Args:
      trial: the last one of the search that `before_search` gave, or one
        before others that finished with it.
    """

  def after_timing(self, trial: Trial, seconds: Mapping[str, float]) -> None:
    """The wall time of a trial is known, after all hooks had the trial itself.

    Args:
      trial: that is recorded.
      seconds: by phase, see `training.wall_time.PHASES`.
    """

  def after_search(
      self, result: Mapping[str, Any], trace: Mapping[str, Any] | None
  ) -> None:
    """The search is finished.

    Args:
      result: content of result.json.
      trace: content of trace.json; None where the schedule has no layer tables
        of trained networks.
    """

  def close(self) -> None:
    """The run ends, also by an error and before it began to search.

    Called once, in the reverse order of the list.
    """
