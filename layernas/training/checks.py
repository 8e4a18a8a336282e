"""Checks of the training fields of a config, before anything is written."""

import math
from typing import Any

import jax

from layernas.data.dataset import Dataset
from layernas.errors import UserError
from layernas.models.convolutions import IMPLEMENTATIONS
from layernas.models.initialization import INITIALIZATIONS
from layernas.models.initialization import PARAMETER_KINDS
from layernas.models.network import DTYPES
from layernas.native import library
from layernas.training.optimizer import excluded_kinds
from layernas.training.optimizer import learning_rate
from layernas.training.optimizer import make_optimizer
from layernas.training.steps import PRECISIONS

# Section -> field -> (what is allowed in words, test).
_POSITIVE = ('a number above zero', lambda v: v > 0)
_NOT_NEGATIVE = ('a number of zero or more', lambda v: v >= 0)
_COUNT = ('an integer of at least one', lambda v: v == int(v) and v >= 1)
_SHARE = ('0 <= x < 1', lambda v: 0 <= v < 1)
_WHOLE = ('an integer of zero or more', lambda v: v == int(v) and v >= 0)
_RULES = {
    'training': {
        'batch_size': _COUNT,
        'evaluation_batch_size': _COUNT,
        'epochs': _POSITIVE,
        'learning_rate': _POSITIVE,
        'warmup_epochs': _NOT_NEGATIVE,
        'decay_epochs': _POSITIVE,
        'decay_rate': ('0 < x <= 1', lambda v: 0 < v <= 1),
        'momentum': _SHARE,
        'rms_decay': _SHARE,
        'rms_epsilon': _POSITIVE,
        'weight_decay': _NOT_NEGATIVE,
        'label_smoothing': _SHARE,
        'ema_decay': _SHARE,
        'log_every_steps': _COUNT,
        'checkpoint_every_steps': _NOT_NEGATIVE,
    },
    'model': {
        'batch_norm_momentum': _SHARE,
        'batch_norm_epsilon': _POSITIVE,
        'classifier_deviation': _NOT_NEGATIVE,
        'dropout': _SHARE,
        'dropout_from_epochs': _NOT_NEGATIVE,
    },
    'profile': {'steps': _WHOLE, 'skip': _WHOLE},
}

_STEPS_PER_EPOCH = 1000
"""Of the schedule that is made to see whether it can be made."""


def check_training(config: Any, section: str = 'training') -> None:
  """Checks the fields of model and profile, and of one training section.

  Args:
    config: with sections `model`, `profile` and `section`.
    section: 'training', or 'final' with the same fields.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  for kind, rules in _RULES.items():
    name = section if kind == 'training' else kind
    for field, (allowed, passes) in rules.items():
      value = getattr(getattr(config, name), field)
      if not math.isfinite(value) or not passes(value):
        raise UserError(f'{name}.{field}: {value!r}: allowed is {allowed}')
  training = getattr(config, section)
  _check_choice('model.dtype', config.model.dtype, DTYPES)
  _check_choice(
      'model.initialization', config.model.initialization, INITIALIZATIONS
  )
  _check_choice(
      'model.matmul_precision', config.model.matmul_precision, PRECISIONS
  )
  _check_depthwise(config.model.depthwise)
  _check_excludes(section, training.weight_decay_excludes)
  if training.warmup_epochs >= training.epochs:
    raise UserError(
        f'{section}.warmup_epochs: {training.warmup_epochs}: allowed is less'
        f' than {section}.epochs, {training.epochs}'
    )
  schedule = learning_rate(training, _STEPS_PER_EPOCH, section)
  make_optimizer(training, schedule, section)


def check_batches(
    config: Any, dataset: Dataset, split: str, section: str = 'training'
) -> None:
  """Checks the batch sizes against devices and data.

  Args:
    config: with a training section.
    dataset: to train on.
    split: of the data set, to train on.
    section: 'training' or 'final'.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  training = getattr(config, section)
  devices = jax.device_count()
  for field in ('batch_size', 'evaluation_batch_size'):
    value = getattr(training, field)
    if value % devices:
      raise UserError(
          f'{section}.{field}: {value}: allowed are multiples of {devices}, the'
          f' number of devices{_of_processes()}'
      )
  examples = dataset.num_examples(split)
  if training.batch_size > examples:
    raise UserError(
        f'{section}.batch_size: {training.batch_size}: allowed is at most'
        f' {examples}, the number of images in split {split!r}'
    )


def _of_processes() -> str:
  count = jax.process_count()
  return f' of all {count} processes' if count > 1 else ''


def _check_choice(field: str, value: Any, allowed: Any) -> None:
  if value not in allowed:
    raise UserError(f'{field}: {value!r}: allowed are {list(allowed)}')


def _check_depthwise(value: str) -> None:
  field = 'model.depthwise'
  _check_choice(field, value, IMPLEMENTATIONS)
  if value != 'compiled':
    return
  others = [name for name in IMPLEMENTATIONS if name != value]
  backend = jax.default_backend()
  why = f'a CPU is needed, not {backend}' if backend != 'cpu' else (
      library.problem()
  )
  if why:
    raise UserError(f'{field}: {value!r}: {why}; allowed here are {others}')


def _check_excludes(section: str, value: str) -> None:
  if not excluded_kinds(value) <= set(PARAMETER_KINDS):
    raise UserError(
        f'{section}.weight_decay_excludes: {value!r}: allowed are some of'
        f' {list(PARAMETER_KINDS)}, joined by commas'
    )
