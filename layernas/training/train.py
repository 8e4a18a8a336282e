"""Trains one network and evaluates it."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from etils import epath
from flax import jax_utils

from layernas.data.dataset import Dataset
from layernas.data.dataset import HostShare
from layernas.data.registry import load_dataset
from layernas.errors import Preempted
from layernas.models.depthwise import resolve
from layernas.models.initialization import initial_variables
from layernas.models.network import InvertedResidualNetwork
from layernas.networks.spec import NetworkSpec
from layernas.training import losses
from layernas.training import preemption
from layernas.training.checkpoints import TrainingCheckpoints
from layernas.training.checks import DTYPES
from layernas.training.devices import AXIS
from layernas.training.devices import replicate
from layernas.training.devices import wait_on_cpu
from layernas.training.learning_rate import learning_rate
from layernas.training.optimizer import make_optimizer
from layernas.training.optimizer import make_update
from layernas.training.prefetch import prefetch
from layernas.training.state import TrainState
from layernas.training.state import Variables
from layernas.training.state import initial_state
from layernas.training.steps import make_evaluation_step
from layernas.training.steps import make_train_step

Report = Callable[[int, Mapping[str, float]], None]
"""Takes a step and its metrics."""


class NonFiniteLossError(ArithmeticError):
  """The training loss or a gradient became NaN or infinite."""


@dataclasses.dataclass(frozen=True)
class TrainResult:
  """What training a network gave.

  Attributes:
    metrics: 'accuracy', 'top5' (shares) and 'loss' on the evaluation split;
      'train_loss', 'train_accuracy' over the last logged steps.
    steps: optimiser steps.
    seconds: wall time, that of interrupted runs included.
  """

  metrics: Mapping[str, float]
  steps: int
  seconds: float


def create_model(
    config: Any, network: NetworkSpec, num_classes: int
) -> InvertedResidualNetwork:
  """Flax module of a network with the config's `model` section."""
  drops = config.training.epochs >= config.model.dropout_from_epochs
  return InvertedResidualNetwork(
      spec=network,
      num_classes=num_classes,
      dtype=DTYPES[config.model.dtype],
      batch_norm_momentum=config.model.batch_norm_momentum,
      batch_norm_epsilon=config.model.batch_norm_epsilon,
      dropout_rate=config.model.dropout if drops else 0.0,
      axis_name=AXIS if config.model.sync_batch_norm else None,
      depthwise=config.model.depthwise,
  )


def train_and_evaluate(
    config: Any, network: NetworkSpec, workdir: epath.PathLike, *,
    seed: int = 0, dataset: Dataset | None = None, train_split: str = 'train',
    evaluation_split: str = 'validation', report: Report | None = None,
) -> TrainResult:
  """Trains a network on all local devices and evaluates it.

  The same call with the same workdir goes on from its last checkpoint and
  gives the same result, bit for bit.

  Args:
    config: with sections data, model and training.
    network: what to train.
    workdir: for checkpoints.
    seed: of initialisation, image order, augmentation and dropout.
    dataset: that of the config, if it is loaded already.
    train_split: images to train on.
    evaluation_split: images to evaluate on.
    report: called with the metrics of every logged step.

  Returns:
    Metrics, steps and seconds.

  Raises:
    NonFiniteLossError: the loss or a gradient is not finite.
    Preempted: SIGTERM came; a checkpoint has been saved.
    UserError: the workdir holds checkpoints of another training.
  """
  dataset = dataset or load_dataset(config.data)
  training = config.training
  model = create_model(config, network, dataset.num_classes)
  steps_per_epoch = dataset.num_examples(train_split) // training.batch_size
  steps = training_steps(training, dataset.num_examples(train_split))
  schedule = learning_rate(training, steps_per_epoch)
  variables = initial_variables(model, dataset.image_size, seed)
  state = initial_state(
      variables, make_optimizer(training, schedule), ema=training.ema_decay > 0
  )
  run = TrainingCheckpoints(
      config, network, seed, train_split, epath.Path(workdir) / 'checkpoints'
  )
  compiled = resolve(config.model.depthwise) == 'compiled'
  update = make_update(training, schedule, compiled)
  step = make_train_step(model, update, training, training.log_every_steps)
  with run:
    state = run.restore(state)
    batches = prefetch(dataset.train_batches(
        train_split, training.batch_size, seed, int(state.step), _this_host()
    ))
    state, metrics = _train(
        state, step, batches, steps, seed, training, run, report
    )
    metrics = metrics | evaluate(
        model, state.evaluated, dataset, evaluation_split,
        training.evaluation_batch_size,
    )
  return TrainResult(metrics, steps, run.seconds())


def training_steps(training: Any, examples: int) -> int:
  """Optimiser steps of a whole training, at least one.

  Args:
    training: section with `epochs` and `batch_size`.
    examples: images to train on.

  Returns:
    Steps; an epoch is cut to whole batches.
  """
  return max(1, round(training.epochs * (examples // training.batch_size)))


def evaluate(
    model: nn.Module, variables: Variables, dataset: Dataset, split: str,
    batch_size: int,
) -> dict[str, float]:
  """Evaluates replicated variables; every image counts once.

  Args:
    model: Flax module.
    variables: replicated over the local devices.
    dataset: to evaluate on.
    split: of the data set.
    batch_size: over all devices of all hosts.

  Returns:
    'loss', 'accuracy' and 'top5', means over the split.
  """
  step = make_evaluation_step(model)
  totals: dict[str, float] = {}
  batches = dataset.evaluation_batches(split, batch_size, _this_host())
  for batch in prefetch(batches):
    sums = step(variables, batch)
    wait_on_cpu(sums)
    for name, value in jax_utils.unreplicate(sums).items():
      totals[name] = totals.get(name, 0.0) + float(value)
  return losses.means(totals)


def _this_host() -> HostShare:
  return HostShare(jax.process_index(), jax.process_count())


def _train(
    state: TrainState, train_step: Callable[..., TrainState], batches: Any,
    steps: int, seed: int, training: Any, run: TrainingCheckpoints,
    report: Report | None,
) -> tuple[TrainState, dict[str, float]]:
  """Runs the steps that are left; returns replicated state and metrics."""
  first = int(state.step)
  state = replicate(state)
  seeds = replicate(np.int32(seed))
  for step in range(first + 1, steps + 1):
    state = train_step(state, next(batches), seeds)
    wait_on_cpu(state.sums)
    every = training.checkpoint_every_steps
    if step % training.log_every_steps == 0 or step == steps:
      metrics = _logged(state, step)
      if report:
        report(step, metrics)
    ending = preemption.noticed()
    if step < steps and (ending or (every and step % every == 0)):
      run.save(step, jax_utils.unreplicate(state))
    if step < steps and ending:
      raise Preempted(f'saved after step {step} of {steps}')
  if first >= steps:
    metrics = _logged(state, first)
  return state, metrics


def _logged(state: TrainState, step: int) -> dict[str, float]:
  """Means since the last logged step."""
  means = losses.means(jax_utils.unreplicate(state.sums))
  if not math.isfinite(means['loss']):
    raise NonFiniteLossError(f'loss is {means["loss"]} at step {step}')
  if means['non_finite']:
    raise NonFiniteLossError(f'gradient is not finite by step {step}')
  return {f'train_{name}': means[name] for name in ('loss', 'accuracy')}
