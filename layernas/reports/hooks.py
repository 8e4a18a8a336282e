"""Hooks, which observe a run: progress, status, TensorBoard, records.

A run has one list of hooks and calls each of them, in the order of the list, at
the events that the methods of `Hook` name.
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
    name: name of its curves, unique in the run, such as 'trials/000003' or
      'winner/seed0'.
    title: readable title, such as 'trial 3'.
    steps: number of steps of the whole training.
    candidate: candidate in training; None in a final training.
  """

  name: str
  title: str
  steps: int
  candidate: Candidate | None = None


def training_of(candidate: Candidate, steps: int) -> Training:
  """The training of a candidate, as hooks see it.

  Args:
    candidate: candidate of a search.
    steps: number of steps of its training.

  Returns:
    The training.
  """
  return Training(
      f'trials/{candidate.id:06d}', f'trial {candidate.id}', steps, candidate
  )


class Hook:
  """A hook of a search or final training; here its methods do nothing.

  A hook of your own overrides the methods that it needs and is passed to the
  run in a list: `run_search(config, workdir, hooks=[MyHook()])`. The rules are:

  - Only process 0 calls hooks, in its main thread, so they may write and print.
    The run waits for them.
  - An exception of a hook ends the run. The hook itself catches errors that
    should not end it, such as a chart that cannot be drawn.
  - Hooks do not change results: a search asks for, trains and records the same
    trials with any list of them.
  - A final training has no candidates and calls only `before_training`,
    `after_step`, `after_test`, `after_training` and `close`.
  """

  def before_search(self, search: Search, steps: int, page: str) -> None:
    """The search begins or continues.

    Args:
      search: search with the trials of earlier runs. It stays the same object,
        so a hook may keep it.
      steps: number of steps of every candidate's training.
      page: address of a page that shows the workers; '' if there is none.
    """

  def before_training(self, training: Training, worker: str) -> None:
    """A training begins, perhaps again after a failed attempt.

    Args:
      training: training that begins.
      worker: name of its worker; '' in this process.
    """

  def after_step(
      self, training: Training, step: int, metrics: Mapping[str, float]
  ) -> None:
    """A training has reached a step whose metrics are logged.

    Args:
      training: a running training that the search waits for.
      step: number of the step, from 1.
      metrics: means since the last logged step, such as 'train_loss'.
    """

  def after_test(
      self, training: Training, metrics: Mapping[str, float]
  ) -> None:
    """A final training was tested.

    Args:
      training: the finished training.
      metrics: metrics on the test split, such as 'accuracy'.
    """

  def after_failure(self, training: Training | None, message: str) -> None:
    """An attempt failed or a worker was lost; another attempt follows.

    Args:
      training: training that is tried again; None if the worker had none.
      message: the reason.
    """

  def after_training(self, training: Training) -> None:
    """A training has ended; its trial may still wait for earlier ones.

    Args:
      training: training that has ended, successfully or not.
    """

  def after_trial(self, trial: Trial) -> None:
    """A trial is finished; trials arrive in the order of their ids.

    Args:
      trial: the last trial of the search that `before_search` got, or an
        earlier one that finished with it.
    """

  def after_timing(self, trial: Trial, seconds: Mapping[str, float]) -> None:
    """The wall time of a trial is known, after all hooks got the trial.

    Args:
      trial: recorded trial.
      seconds: seconds by phase, see `training.wall_time.PHASES`.
    """

  def after_search(
      self, result: Mapping[str, Any], trace: Mapping[str, Any] | None
  ) -> None:
    """The search is finished.

    Args:
      result: content of result.json.
      trace: content of trace.json; None if the schedule has no layer tables of
        trained networks.
    """

  def close(self) -> None:
    """The run ends, perhaps by an error, or before the search began.

    Hooks are called once, in the reverse order of the list.
    """
