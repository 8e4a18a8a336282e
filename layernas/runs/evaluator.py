"""Evaluates candidates by training them: where search and training meet.

A candidate under way has files in the workdir: checkpoints while it trains, its
result until its trial is recorded, and a traceback where it failed. Where
several processes of one run train together, process 0 alone reads and writes
them and tells the others.
"""

import contextlib
import dataclasses
import json
import threading
import time
import traceback
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Self

import jax
from absl import logging
from etils import epath
from ml_collections import config_dict

from layernas.data.dataset import Dataset
from layernas.data.registry import load_dataset
from layernas.errors import Preempted
from layernas.errors import TrialError
from layernas.errors import UserError
from layernas.executors.executor import Evaluated
from layernas.executors.executor import Report
from layernas.networks.interface import Space
from layernas.networks.registry import make_space
from layernas.runs.compile_ahead import CompileAhead
from layernas.runs.rewards import configured_reward
from layernas.runs.setup import with_width_scaled
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Status
from layernas.search import Trial
from layernas.search.early_stop import stopped
from layernas.search.space import Network
from layernas.search.trial import trial_from_dict
from layernas.storage.files import file_store
from layernas.storage.storage_errors import in_one_line
from layernas.storage.storage_errors import storage_error
from layernas.storage.workdir import read_json
from layernas.training import devices
from layernas.training import hosts
from layernas.training.checks import check_batches
from layernas.training.checks import check_training
from layernas.training.devices import enable_compilation_cache
from layernas.training.hooks import profile_hooks
from layernas.training.programs import Programs
from layernas.training.programs import compile_programs
from layernas.training.train import EarlyEvaluation
from layernas.training.train import Job
from layernas.training.train import NonFiniteLossError
from layernas.training.train import measured_rate
from layernas.training.train import train_and_evaluate
from layernas.training.wall_time import WallTime

WORKER_EVALUATOR = 'layernas.runs.evaluator:worker_evaluator'
"""Where workers find what evaluates."""

_PERMANENT = (
    ArithmeticError, AssertionError, AttributeError, LookupError,
    NotImplementedError, TypeError, ValueError,
)
"""What another attempt would raise again."""

_FORGET_EVERY = 10
"""Candidates after which JAX's caches are cleared. What all networks share is
traced again then."""


class CandidateFiles:
  """Directories `candidates` and `failures` of a workdir."""

  def __init__(self, workdir: epath.PathLike):
    """Names them.

    Args:
      workdir: of the search.
    """
    self._workdir = epath.Path(workdir)

  def directory(self, candidate: Candidate) -> epath.Path:
    """Where a candidate's training keeps its checkpoints."""
    return self._workdir / 'candidates' / f'{candidate.id:06d}'

  def profile(self, candidate: Candidate) -> epath.Path:
    """Where a trace of a candidate's training goes; it stays."""
    return self._workdir / 'profile' / f'{candidate.id:06d}'

  def finish(self, candidate: Candidate, evaluation: Evaluation) -> None:
    """Keeps a result until its trial is recorded, which may be much later.

    Trials are recorded in their order, and a search may be killed in between.
    """
    if hosts.is_first():
      text = json.dumps(Trial(candidate, evaluation).to_dict())
      path = self._result(candidate)
      file_store(path).write(path, text.encode())

  def finished(self, candidate: Candidate) -> Evaluation | None:
    """The result that was kept of this very candidate, or None."""
    record = hosts.on_first(lambda: self._read(candidate))
    return trial_from_dict(record).evaluation if record else None

  def clean(self, candidate: Candidate) -> None:
    """Removes the files of a candidate whose trial is recorded."""
    directory = self.directory(candidate)
    if hosts.is_first() and directory.exists():
      directory.rmtree()

  def write_failure(self, candidate: Candidate) -> None:
    """Writes the traceback of the exception that is being handled."""
    if hosts.is_first():
      path = self._workdir / 'failures' / f'{candidate.id:06d}.txt'
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_text(traceback.format_exc())

  def _result(self, candidate: Candidate) -> epath.Path:
    return self.directory(candidate) / 'result.json'

  def _read(self, candidate: Candidate) -> dict[str, Any] | None:
    path = self._result(candidate)
    if not path.exists():
      return None
    try:
      record = read_json(path)
      same = trial_from_dict(record).candidate == candidate
    except (UserError, TypeError) as error:
      logging.warning('%s: the candidate is trained again', error)
      return None
    return record if same else None


class TrainingEvaluator:
  """Trains each candidate, and rewards what it does on the validation images.

  A candidate that was interrupted goes on from its last checkpoint. Where
  several processes run, each trains its share, and process 0 writes. A context:
  on leaving it waits for the thread that compiles ahead.
  """

  def __init__(
      self, config: Any, space: Space, dataset: Dataset,
      workdir: epath.PathLike, report: Report, alone: bool = False,
  ):
    """Prepares for any number of candidates.

    Args:
      config: with sections data, model, training and early_stop, and
        `reward`, `compile_ahead` and `raise_failures`.
      space: turns architectures into networks.
      dataset: to train and validate on.
      workdir: holds checkpoints of the candidates in training.
      report: called with every logged step.
      alone: whether it has to notice SIGTERM itself; to be called in the main
        thread then.

    Raises:
      UserError: the config's reward does not exist or does not fit.
    """
    self._config = config
    self._reward = configured_reward(config)
    self._space = space
    self._dataset = dataset
    self._workdir = workdir
    self._files = CandidateFiles(workdir)
    self._report = report
    self._alone = alone
    self._trained = 0
    # JAX's caches are not cleared while a network is compiled.
    self._compiling = threading.Lock()
    self._ahead: CompileAhead[Programs] = CompileAhead(
        self._compile, config.compile_ahead
    )

  def prepare(self, architectures: Sequence[Network]) -> None:
    """Compiles what is evaluated next while other things go on.

    Args:
      architectures: the first ones are needed first; none of them need ever be
        evaluated.
    """
    self._ahead.prepare(architectures)

  def __call__(
      self, candidate: Candidate,
      hopeless: Callable[[float], bool] = lambda reward: False,
  ) -> Evaluated:
    """Trains and validates; whatever goes wrong becomes the trial's status.

    Args:
      candidate: to train.
      hopeless: takes the reward at the fraction of the steps that the config
        names, if it names one, and says whether to stop; asked again after
        every later step.

    Returns:
      Its result, with the early reward where there was one.

    Raises:
      UserError: the data or the disk, not the candidate, is at fault.
      Preempted: SIGTERM came; a checkpoint or the result has been saved.
    """
    with in_one_line(self._workdir):
      return self._evaluated(candidate, hopeless)

  def _evaluated(
      self, candidate: Candidate, hopeless: Callable[[float], bool]
  ) -> Evaluated:
    """As `__call__`, with a disk's errors as they come."""
    known = self._files.finished(candidate)
    if known is not None:
      return Evaluated(known)
    wall_time = WallTime()
    listening = hosts.listening if self._alone else contextlib.nullcontext
    with listening():
      evaluated = self._outcome(candidate, hopeless, wall_time)
      if self._is_kept(evaluated.evaluation):
        with wall_time.spent_on('save'):
          self._files.finish(candidate, evaluated.evaluation)
      # The signal came behind the last step: others find the result.
      if self._alone and hosts.noticed():
        raise Preempted('the candidate is finished')
    self._forget()
    return dataclasses.replace(evaluated, seconds=wall_time.seconds())

  def _is_kept(self, evaluation: Evaluation) -> bool:
    """Whether the candidate is not to be trained once more."""
    if self._config.raise_failures:
      return evaluation.status in (Status.OK, Status.STOPPED)
    return evaluation.status is not Status.FAILED

  def _outcome(
      self, candidate: Candidate, hopeless: Callable[[float], bool],
      wall_time: WallTime,
  ) -> Evaluated:
    """What comes of training a candidate; no seconds by phase yet."""
    begun = time.monotonic()
    # What fails behind its early point still has an early reward.
    early_rewards: list[float] = []

    def ends(reward: float) -> bool:
      early_rewards.append(reward)
      return hopeless(reward)

    def failed(
        status: Status, message: str, retriable: bool = False
    ) -> Evaluated:
      evaluation = Evaluation(
          None, time.monotonic() - begun, status, message,
          early_reward=early_rewards[-1] if early_rewards else None,
      )
      return Evaluated(
          evaluation, retriable=retriable, traceback=traceback.format_exc()
      )

    fraction = self._config.early_stop.fraction
    try:
      result = train_and_evaluate(
          Job(
              self._config, self._space.network(candidate.architecture),
              self._dataset, candidate.seed,
          ),
          self._files.directory(candidate),
          hooks=[
              lambda *logged: self._report(candidate, *logged),
              *profile_hooks(
                  self._config.profile, self._files.profile(candidate)
              ),
          ],
          programs=lambda: self._ahead.programs(candidate.architecture),
          wall_time=wall_time,
          early=(
              EarlyEvaluation(fraction, ends, self._reward) if fraction
              else None
          ),
      )
      reward = None if result.stopped else self._reward(result.metrics)
    except NonFiniteLossError as error:
      return failed(Status.NAN, str(error))
    except UserError:
      raise
    except Exception as error:  # One bad candidate must not end the search.
      if storage_error(error, self._workdir):
        raise
      # Where it failed here alone, the others wait for this process.
      if not hosts.all_come(f'candidate {candidate.id} failed'):
        raise
      self._files.write_failure(candidate)
      message = f'{type(error).__name__}: {error}'.splitlines()[0]
      return failed(
          Status.FAILED, message, not isinstance(error, _PERMANENT)
      )
    evaluation = Evaluation(
        reward, result.seconds, metrics=result.metrics,
        early_reward=result.early_reward,
    )
    return Evaluated(stopped(evaluation) if result.stopped else evaluation)

  def measure(self) -> float:
    """Train steps a second of the space's default network."""
    architecture = self._space.search_space.default
    return measured_rate(
        self._config, self._ahead.programs(architecture), self._dataset
    )

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:
    self._ahead.__exit__(*error)

  def _compile(self, architecture: Network) -> Programs:
    with self._compiling:
      return compile_programs(
          self._config, self._space.network(architecture), self._dataset
      )

  def _forget(self) -> None:
    """Has JAX forget the networks that it traced: it would keep them all."""
    self._trained += 1
    if self._trained % _FORGET_EVERY == 0:
      with self._compiling:
        jax.clear_caches()


def check_succeeded(trial: Trial, traceback_text: str) -> None:
  """Ends a run whose trials must not fail.

  Args:
    trial: with its evaluation.
    traceback_text: of what went wrong; '' where no exception was raised.

  Raises:
    TrialError: the trial failed.
  """
  if trial.failed:
    message = f'{trial.candidate}: {trial.evaluation.message}'
    raise TrialError('\n'.join(filter(None, (message, traceback_text))))


def worker_evaluator(
    settings: Mapping[str, Any], report: Report
) -> TrainingEvaluator:
  """What evaluates in a worker process.

  Args:
    settings: 'config', the fields of a run's config, and 'workdir'.
    report: called with every logged step.

  Returns:
    An evaluator.

  Raises:
    UserError: a field does not fit the devices or data of this process.
  """
  config = config_dict.ConfigDict(settings['config']).lock()
  devices.prepare(config.model.deterministic)
  workdir = epath.Path(settings['workdir'])
  enable_compilation_cache(workdir / 'compilation_cache')
  # The devices are those of this process: the driver's may be others.
  check_training(config)
  dataset = load_dataset(config.data)
  check_batches(config, dataset, 'train')
  return TrainingEvaluator(
      config, with_width_scaled(make_space(config.space), config, dataset),
      dataset, workdir, report, alone=True,
  )
