"""Evaluates candidates by training them: where search and training meet."""

import time
import traceback
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from etils import epath

from layernas.data.dataset import Dataset
from layernas.errors import UserError
from layernas.networks.space import NetworkSpace
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Status
from layernas.training import hosts
from layernas.training.train import NonFiniteLossError
from layernas.training.train import train_and_evaluate

Report = Callable[[Candidate, int, Mapping[str, float]], None]
"""Takes a candidate, a step and the metrics of that step."""


class TrainingEvaluator:
  """Trains each candidate on the training images, rewards validation accuracy.

  A candidate that was interrupted goes on from its last checkpoint. Where
  several processes run, each trains its share, and process 0 writes.
  """

  def __init__(
      self, config: Any, space: NetworkSpace, dataset: Dataset,
      workdir: epath.PathLike, report: Report,
  ):
    """Prepares for any number of candidates.

    Args:
      config: with sections data, model and training.
      space: turns architectures into networks.
      dataset: to train and validate on.
      workdir: holds checkpoints of the candidate in training.
      report: called with every logged step.
    """
    self._config = config
    self._space = space
    self._dataset = dataset
    self._workdir = epath.Path(workdir)
    self._report = report

  def __call__(self, candidate: Candidate) -> Evaluation:
    """Trains and validates; whatever goes wrong becomes the trial's status.

    Args:
      candidate: to train.

    Returns:
      Its result.

    Raises:
      UserError: the data, not the candidate, is at fault.
    """
    begun = time.monotonic()
    try:
      result = train_and_evaluate(
          self._config,
          self._space.network(candidate.architecture),
          self._directory(candidate),
          seed=candidate.seed,
          dataset=self._dataset,
          report=lambda *logged: self._report(candidate, *logged),
      )
    except NonFiniteLossError as error:
      return Evaluation(
          None, time.monotonic() - begun, Status.NAN, str(error)
      )
    except UserError:
      raise
    except Exception as error:  # One bad candidate must not end the search.
      self._write_traceback(candidate)
      message = f'{type(error).__name__}: {error}'.splitlines()[0]
      return Evaluation(
          None, time.monotonic() - begun, Status.FAILED, message
      )
    return Evaluation(
        result.metrics['accuracy'], result.seconds, metrics=result.metrics
    )

  def clean(self, candidate: Candidate) -> None:
    """Removes the checkpoints of a candidate whose trial is recorded."""
    directory = self._directory(candidate)
    if hosts.is_first() and directory.exists():
      directory.rmtree()

  def _directory(self, candidate: Candidate) -> epath.Path:
    return self._workdir / 'candidates' / f'{candidate.id:06d}'

  def _write_traceback(self, candidate: Candidate) -> None:
    if not hosts.is_first():
      return
    directory = self._workdir / 'failures'
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f'{candidate.id:06d}.txt'
    path.write_text(traceback.format_exc())
