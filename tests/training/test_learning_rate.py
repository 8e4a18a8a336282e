"""Tests of layernas.training.optimizer."""

import math

import pytest

from layernas.training.optimizer import learning_rate
from tests.training import small

_STEPS_PER_EPOCH = 10
_PEAK = 0.1  # 0.4 per 256 images, in batches of 64.


def _schedule(**fields):
  fields = {
      'learning_rate': 0.4, 'batch_size': 64, 'epochs': 10.0,
      'warmup_epochs': 2.0, 'decay_epochs': 2.4, 'decay_rate': 0.5,
  } | fields
  config = small.get_config(**fields).training
  schedule = learning_rate(config, _STEPS_PER_EPOCH)
  return lambda step: pytest.approx(float(schedule(step)), abs=1e-7)


@pytest.mark.parametrize('schedule', ['cosine', 'constant'])
def test_warmup_is_linear_from_zero_to_the_peak(schedule: str) -> None:
  rate = _schedule(schedule=schedule)
  assert rate(0) == 0.0
  assert rate(5) == _PEAK / 4
  assert rate(19) == _PEAK * 19 / 20
  assert rate(20) == _PEAK


def test_cosine_ends_at_zero_after_the_last_step() -> None:
  rate = _schedule(schedule='cosine')
  assert rate(40) == _PEAK * (1 + math.cos(math.pi / 4)) / 2
  assert rate(60) == _PEAK / 2
  assert rate(99) == _PEAK * (1 + math.cos(math.pi * 79 / 80)) / 2
  assert rate(100) == 0.0


def test_cosine_without_warmup_begins_at_the_peak() -> None:
  rate = _schedule(schedule='cosine', warmup_epochs=0.0)
  assert rate(0) == _PEAK
  assert rate(50) == _PEAK / 2
  assert rate(100) == 0.0


def test_stepped_falls_every_decay_epochs() -> None:
  rate = _schedule(schedule='stepped', warmup_epochs=0.0)
  assert rate(23) == _PEAK
  assert rate(24) == _PEAK / 2
  assert rate(47) == _PEAK / 2
  assert rate(48) == _PEAK / 4


def test_stepped_counts_its_steps_from_the_start_of_training() -> None:
  rate = _schedule(schedule='stepped')
  assert rate(10) == _PEAK / 2  # Half of the warm-up.
  assert rate(20) == _PEAK
  assert rate(23) == _PEAK
  assert rate(24) == _PEAK / 2
  assert rate(96) == _PEAK / 16


def test_constant_stays() -> None:
  rate = _schedule(schedule='constant')
  assert rate(20) == _PEAK
  assert rate(99) == _PEAK


@pytest.mark.parametrize('batch_size', [8, 256, 1024])
def test_scales_with_the_batch(batch_size: int) -> None:
  rate = _schedule(schedule='constant', batch_size=batch_size)
  assert rate(50) == 0.4 * batch_size / 256


def test_a_training_of_less_than_a_step_has_a_rate() -> None:
  rate = _schedule(schedule='cosine', epochs=0.01, warmup_epochs=0.0)
  assert rate(0) == _PEAK
