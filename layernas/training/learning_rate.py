"""Learning-rate schedules."""

from typing import Any

import optax

SCHEDULES = ('cosine', 'stepped', 'constant')


def learning_rate(config: Any, steps_per_epoch: int) -> optax.Schedule:
  """Linear warm-up, then the configured decay.

  Args:
    config: training section: `learning_rate` (per 256 images), `batch_size`
      (global), `schedule`, `epochs`, `warmup_epochs`, `decay_rate` and
      `decay_epochs` (the last two for 'stepped').
    steps_per_epoch: optimiser steps.

  Returns:
    Step to learning rate.
  """
  peak = config.learning_rate * config.batch_size / 256
  steps = round(config.epochs * steps_per_epoch)
  warmup = round(config.warmup_epochs * steps_per_epoch)
  if config.schedule == 'cosine':
    decay = optax.cosine_decay_schedule(peak, max(1, steps - warmup))
  elif config.schedule == 'stepped':
    # The staircase counts from the start of training, warm-up included.
    staircase = optax.exponential_decay(
        peak, max(1, round(config.decay_epochs * steps_per_epoch)),
        config.decay_rate, staircase=True,
    )

    def decay(step: Any) -> Any:
      return staircase(step + warmup)

  else:
    decay = optax.constant_schedule(peak)
  if not warmup:
    return decay
  ramp = optax.linear_schedule(0.0, peak, warmup)
  return optax.join_schedules([ramp, decay], [warmup])
