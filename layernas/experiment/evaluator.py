"""Evaluates candidates by training them: where search and training meet."""

import time
import traceback
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Self

from etils import epath

from layernas.data.dataset import Dataset
from layernas.errors import UserError
from layernas.experiment.compile_ahead import CompileAhead
from layernas.networks.space import NetworkSpace
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Status
from layernas.search.early_stop import stopped
from layernas.search.space import Architecture
from layernas.training import hosts
from layernas.training.early_evaluation import EarlyEvaluation
from layernas.training.programs import Programs
from layernas.training.programs import compile_programs
from layernas.training.train import NonFiniteLossError
from layernas.training.train import train_and_evaluate
from layernas.training.wall_time import WallTime

Report = Callable[[Candidate, int, Mapping[str, float]], None]
"""Takes a candidate, a step and the metrics of that step."""


class TrainingEvaluator:
  """Trains each candidate on the training images, rewards validation accuracy.

  A candidate that was interrupted goes on from its last checkpoint. Where
  several processes run, each trains its share, and process 0 writes. A context:
  on leaving it waits for the thread that compiles ahead.
  """

  def __init__(
      self, config: Any, space: NetworkSpace, dataset: Dataset,
      workdir: epath.PathLike, report: Report,
  ):
    """Prepares for any number of candidates.

    Args:
      config: with sections data, model, training and early_stop, and
        `compile_ahead`.
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
    self._ahead: CompileAhead[Programs] = CompileAhead(
        self._compile, config.compile_ahead
    )

  def prepare(self, architectures: Sequence[Architecture]) -> None:
    """Compiles what is evaluated next while other things go on.

    Args:
      architectures: the first ones are needed first; none of them need ever be
        evaluated.
    """
    self._ahead.prepare(architectures)

  def __call__(
      self, candidate: Candidate, wall_time: WallTime | None = None,
      hopeless: Callable[[float], bool] | None = None,
  ) -> Evaluation:
    """Trains and validates; whatever goes wrong becomes the trial's status.

    Args:
      candidate: to train.
      wall_time: told where the time goes.
      hopeless: takes the validation accuracy at the fraction of the steps that
        the config names, if it names one; whether to stop there. None never
        stops.

    Returns:
      Its result, with the early reward where there was one.

    Raises:
      UserError: the data, not the candidate, is at fault.
    """
    begun = time.monotonic()
    # What fails behind its early point still has an early reward.
    early_rewards: list[float] = []

    def ends(accuracy: float) -> bool:
      early_rewards.append(accuracy)
      return hopeless is not None and hopeless(accuracy)

    def failed(status: Status, message: str) -> Evaluation:
      return Evaluation(
          None, time.monotonic() - begun, status, message,
          early_reward=early_rewards[-1] if early_rewards else None,
      )

    fraction = self._config.early_stop.fraction
    try:
      result = train_and_evaluate(
          self._config,
          self._space.network(candidate.architecture),
          self._directory(candidate),
          seed=candidate.seed,
          dataset=self._dataset,
          report=lambda *logged: self._report(candidate, *logged),
          programs=lambda: self._ahead.programs(candidate.architecture),
          wall_time=wall_time,
          early=EarlyEvaluation(fraction, ends) if fraction else None,
      )
    except NonFiniteLossError as error:
      return failed(Status.NAN, str(error))
    except UserError:
      raise
    except Exception as error:  # One bad candidate must not end the search.
      self._write_traceback(candidate)
      message = f'{type(error).__name__}: {error}'.splitlines()[0]
      return failed(Status.FAILED, message)
    if result.stopped:
      return stopped(Evaluation(
          None, result.seconds, early_reward=result.early_accuracy
      ))
    return Evaluation(
        result.metrics['accuracy'], result.seconds, metrics=result.metrics,
        early_reward=result.early_accuracy,
    )

  def clean(self, candidate: Candidate) -> None:
    """Removes the checkpoints of a candidate whose trial is recorded."""
    directory = self._directory(candidate)
    if hosts.is_first() and directory.exists():
      directory.rmtree()

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:
    self._ahead.__exit__(*error)

  def _compile(self, architecture: Architecture) -> Programs:
    return compile_programs(
        self._config, self._space.network(architecture), self._dataset
    )

  def _directory(self, candidate: Candidate) -> epath.Path:
    return self._workdir / 'candidates' / f'{candidate.id:06d}'

  def _write_traceback(self, candidate: Candidate) -> None:
    if not hosts.is_first():
      return
    directory = self._workdir / 'failures'
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f'{candidate.id:06d}.txt'
    path.write_text(traceback.format_exc())
