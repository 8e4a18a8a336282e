"""Training and evaluation of one network."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from layernas.data.dataset import Dataset
from layernas.data.dataset import HostShare
from layernas.errors import Preempted
from layernas.networks.network import NetworkLike
from layernas.termination import beside
from layernas.training import hosts
from layernas.training import losses
from layernas.training.checkpoints import TrainingCheckpoints
from layernas.training.devices import Pace
from layernas.training.devices import prefetch
from layernas.training.devices import replicate
from layernas.training.devices import unreplicate
from layernas.training.hooks import Logged
from layernas.training.hooks import StepHook
from layernas.training.hooks import StepHooks
from layernas.training.identity import Identity
from layernas.training.programs import Programs
from layernas.training.programs import compile_programs
from layernas.training.steps import TrainState
from layernas.training.steps import Variables
from layernas.training.wall_time import WallTime


@dataclasses.dataclass(frozen=True)
class Job:
  """One training: network, recipe and data.

  Attributes:
    config: with sections data, model and training.
    network: network to train.
    dataset: data set to train and evaluate on.
    seed: seed of initialisation, image order, augmentation and dropout.
    split: split of the data set to train on.
    evaluation_split: split of the data set to evaluate on.
  """

  config: Any
  network: NetworkLike
  dataset: Dataset
  seed: int = 0
  split: str = 'train'
  evaluation_split: str = 'validation'

  @property
  def steps(self) -> int:
    """Number of optimiser steps of the whole training."""
    examples = self.dataset.num_examples(self.split)
    return training_steps(self.config.training, examples)

  def identity(self, early: 'EarlyEvaluation | None' = None) -> Identity:
    """What a checkpoint must have in common with a training that resumes it.

    Args:
      early: the early evaluation, if any.

    Returns:
      The identity of this training.
    """
    return Identity(
        self.config, self.network, self.seed, self.split,
        early.fraction if early else 0.0,
    )


@dataclasses.dataclass(frozen=True)
class TrainResult:
  """The result of training a network.

  Attributes:
    metrics: 'accuracy', 'top5' (shares) and 'loss' on the evaluation split;
      'train_loss', 'train_accuracy' over the last logged steps. Empty if the
      training was stopped.
    steps: number of optimiser steps that were done.
    seconds: wall time, including that of interrupted runs.
    early_reward: reward of the early evaluation; None if there was none.
    stopped: whether the early evaluation ended it.
    variables: the evaluated variables, one copy on the first device; empty if
      the training was stopped.
  """

  metrics: Mapping[str, float]
  steps: int
  seconds: float
  early_reward: float | None = None
  stopped: bool = False
  variables: Variables = dataclasses.field(default_factory=dict)


class NonFiniteLossError(ArithmeticError):
  """The error of a loss or gradient that became NaN or infinite."""


@dataclasses.dataclass(frozen=True)
class EarlyEvaluation:
  """An evaluation during a training, which decides whether it goes on.

  Attributes:
    fraction: share of the steps before it, 0 < fraction < 1.
    hopeless: takes the reward of that step and returns whether to stop. It is
      called after that step and after every later one, because results of other
      trainings may decide meanwhile; if several processes train together, it is
      called once.
    reward: reward as a function of the metrics, including those of the last
      logged steps.
  """

  fraction: float
  hopeless: Callable[[float], bool]
  reward: Callable[[Mapping[str, float]], float] = (
      lambda metrics: metrics['accuracy']
  )

  def step(self, steps: int) -> int:
    """The step after which the network is evaluated.

    Args:
      steps: number of steps of the whole training.

    Returns:
      A step from 1 to `steps` - 1; 0, which is never, if there is none.
    """
    return min(max(1, round(self.fraction * steps)), steps - 1)


class _EarlyPoint:
  """The early evaluation of one training, or none.

  Attributes:
    stopped: whether the training ended there.
  """

  def __init__(
      self, early: EarlyEvaluation | None, steps: int,
      checkpoints: TrainingCheckpoints,
      metrics: Callable[[TrainState], Mapping[str, float]],
  ):
    """Prepares; `ends` is called after every step.

    Args:
      early: at which step, and who decides; None evaluates nothing.
      steps: number of steps of the whole training.
      checkpoints: keep the reward.
      metrics: evaluates a replicated state.
    """
    self.stopped = False
    self._early = early
    self._step = early.step(steps) if early else 0
    self._checkpoints = checkpoints
    self._metrics = metrics
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
    if step == self._step and self._checkpoints.early_reward is None:
      self._checkpoints.early_reward = self._early.reward(
          self._metrics(state)
      )
    if self._checkpoints.early_reward is not None:
      # Each process asks its own search: all must do as the first one does.
      self.stopped = hosts.shared(
          bool(self._early.hopeless(self._checkpoints.early_reward))
      )
    return self.stopped


def train_and_evaluate(
    job: Job, workdir: epath.PathLike, *,
    hooks: Sequence[StepHook | Logged] = (),
    programs: Callable[[], Programs] | None = None,
    wall_time: WallTime | None = None, early: EarlyEvaluation | None = None,
) -> TrainResult:
  """Trains a network on all local devices and evaluates it.

  The same call with the same workdir continues from its last checkpoint and
  gives the same result, bit for bit.

  Args:
    job: the training.
    workdir: directory for checkpoints.
    hooks: observe the steps; a function is called as (step, metrics) after
      logged steps.
    programs: returns the network's programs, which may be compiled already.
    wall_time: measures where the time goes.
    early: evaluates the network once before its last step and may stop it
      there; a training that goes on does not change.

  Returns:
    Metrics, steps, seconds and variables.

  Raises:
    NonFiniteLossError: the loss or a gradient is not finite.
    Preempted: SIGTERM arrived, and a checkpoint was saved.
    UserError: the workdir holds checkpoints of another training.
  """
  wall_time = wall_time or WallTime()
  checkpoints = TrainingCheckpoints(
      epath.Path(workdir) / 'checkpoints', job.identity(early), wall_time
  )
  with wall_time.spent_on('compile'):
    made = _compiled(programs or (lambda: compile_programs(
        job.config, job.network, job.dataset, job.split
    )))

  def evaluated(state: TrainState) -> dict[str, float]:
    with wall_time.spent_on('evaluate'):
      return evaluate(
          made.evaluation_step, state.evaluated, job.dataset,
          job.evaluation_split, job.config.training.evaluation_batch_size,
      )

  point = _EarlyPoint(
      early, job.steps, checkpoints,
      lambda state: _train_means(state) | evaluated(state),
  )
  with checkpoints:
    state = made.initial_state(job.seed)
    state = checkpoints.restore(state)
    with wall_time.spent_on('train'), StepHooks(hooks) as listening:
      state, metrics = _train(
          job, made, state, checkpoints, point, listening
      )
    metrics = {} if point.stopped else metrics | evaluated(state)
    done = int(unreplicate(state.step))
    trained = {} if point.stopped else unreplicate(state.evaluated)
  return TrainResult(
      metrics, done, checkpoints.seconds(), checkpoints.early_reward,
      point.stopped, trained,
  )


def _compiled(programs: Callable[[], Programs]) -> Programs:
  """Programs of a network; SIGTERM and Ctrl-C do not wait for XLA.

  Where several processes run, all have to agree on when to end, and wait.
  """
  if jax.process_count() > 1:
    return programs()

  def check() -> None:
    if hosts.noticed():
      raise Preempted('the network was being compiled')

  return beside(programs, check)


def _train(
    job: Job, made: Programs, state: TrainState,
    checkpoints: TrainingCheckpoints, point: _EarlyPoint, hooks: StepHook,
) -> tuple[TrainState, dict[str, float]]:
  """Runs the steps that are left; returns replicated state and metrics."""
  training, steps, first = job.config.training, job.steps, int(state.step)
  batches = prefetch(job.dataset.train_batches(
      job.split, training.batch_size, job.seed, first, _this_host()
  ), scaling=job.dataset.scaling)
  state, seeds = replicate(state), replicate(np.int32(job.seed))
  metrics = _train_metrics(state, first) if first >= steps else {}
  if point.ends(first, state):
    return state, {}
  hooks.began(first)
  logged, since, pace = first, time.monotonic(), Pace()
  for step in range(first + 1, steps + 1):
    state = made.train_step(state, next(batches), seeds)
    pace.stepped(state.sums)
    if step % training.log_every_steps == 0 or step == steps:
      metrics = _train_metrics(state, step)
      now = time.monotonic()
      hooks.logged(step, metrics | {
          'learning_rate': made.learning_rate(step - 1),
          'steps_per_second': (step - logged) / max(now - since, 1e-9),
      })
      logged, since = step, now
    hooks.stepped(step, state)
    if point.ends(step, state):
      return state, {}
    ending = hosts.noticed()
    every = training.checkpoint_every_steps
    if step < steps and (ending or (every and step % every == 0)):
      checkpoints.save(step, unreplicate(state))
    if step < steps and ending:
      raise Preempted(f'saved after step {step} of {steps}')
  return state, metrics


def _train_metrics(state: TrainState, step: int) -> dict[str, float]:
  """Means since the last logged step."""
  means = losses.means(unreplicate(state.sums))
  if not math.isfinite(means['loss']):
    raise NonFiniteLossError(f'loss is {means["loss"]} at step {step}')
  if means['non_finite']:
    raise NonFiniteLossError(f'gradient is not finite by step {step}')
  return _train_means(state)


def _train_means(state: TrainState) -> dict[str, float]:
  """The same, whether or not they are finite."""
  means = losses.means(unreplicate(state.sums))
  return {
      f'train_{name}': mean for name, mean in means.items()
      if name not in ('top5', 'non_finite')
  }


def training_steps(training: Any, examples: int) -> int:
  """Number of optimiser steps of a whole training, at least one.

  Args:
    training: section with `epochs` and `batch_size`.
    examples: number of images to train on.

  Returns:
    The number of steps; an epoch is cut to whole batches.
  """
  return max(1, round(training.epochs * (examples // training.batch_size)))


EvaluationStep = Callable[[Variables, Any], dict[str, jax.Array]]
"""(replicated variables, sharded batch) -> replicated metric sums."""


def evaluate(
    step: EvaluationStep, variables: Variables, dataset: Dataset, split: str,
    batch_size: int,
) -> dict[str, float]:
  """Evaluates replicated variables; every image counts once.

  Args:
    step: evaluation step of the network, see `make_evaluation_step`.
    variables: variables, replicated over the local devices.
    dataset: data set to evaluate on.
    split: split of the data set.
    batch_size: over all devices of all hosts.

  Returns:
    'loss', 'accuracy' and 'top5', means over the split.
  """
  totals: dict[str, float] = {}
  batches = dataset.evaluation_batches(split, batch_size, _this_host())
  pace = Pace()
  last: dict[str, jax.Array] = {}
  for batch in prefetch(batches, scaling=dataset.scaling):
    sums = step(variables, batch)
    pace.stepped(sums)
    # Those of the step before: the devices go on meanwhile.
    _add(totals, last)
    last = sums
  _add(totals, last)
  return losses.means(totals)


def _add(totals: dict[str, float], sums: Mapping[str, jax.Array]) -> None:
  for name, value in unreplicate(sums).items():
    totals[name] = totals.get(name, 0.0) + float(value)


def _this_host() -> HostShare:
  return HostShare(jax.process_index(), jax.process_count())


_WARM_UP = 2
_LEAST_STEPS = 5
_SECONDS = 2.0
"""Least seconds of timing, so that processes that start together overlap."""


def measured_rate(config: Any, programs: Programs, dataset: Dataset) -> float:
  """Speed at which a network trains on this process's devices.

  Args:
    config: with a section training.
    programs: programs of the network.
    dataset: data set to train on.

  Returns:
    Steps per second, by the median step.
  """
  state = replicate(programs.initial_state(0))
  seed = replicate(np.int32(0))
  batches = prefetch(dataset.train_batches(
      'train', config.training.batch_size, 0
  ), scaling=dataset.scaling)
  seconds: list[float] = []
  while len(seconds) < _LEAST_STEPS + _WARM_UP or sum(
      seconds[_WARM_UP:]
  ) < _SECONDS:
    begun = time.monotonic()
    state = programs.train_step(state, next(batches), seed)
    jax.block_until_ready(state.sums)
    seconds.append(time.monotonic() - begun)
  return 1 / statistics.median(seconds[_WARM_UP:])
