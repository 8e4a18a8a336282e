"""How fast a network trains on this process's devices."""

import statistics
import time
from typing import Any

import jax
import numpy as np

from layernas.data.dataset import Dataset
from layernas.models.initialization import draw_variables
from layernas.training.devices import replicate
from layernas.training.prefetch import prefetch
from layernas.training.programs import Programs

_WARM_UP = 2
_LEAST_STEPS = 5
_SECONDS = 2.0
"""Of timed steps at least, so that processes that begin together overlap."""


def measured_rate(config: Any, programs: Programs, dataset: Dataset) -> float:
  """Trains a network for some steps.

  Args:
    config: with a section training.
    programs: of the network.
    dataset: to train on.

  Returns:
    Steps a second, by the median step.
  """
  state = replicate(programs.state(draw_variables(programs.variables, 0)))
  seed = replicate(np.int32(0))
  batches = prefetch(dataset.train_batches(
      'train', config.training.batch_size, 0
  ))
  seconds: list[float] = []
  while len(seconds) < _LEAST_STEPS + _WARM_UP or sum(
      seconds[_WARM_UP:]
  ) < _SECONDS:
    begun = time.monotonic()
    state = programs.train_step(state, next(batches), seed)
    jax.block_until_ready(state.sums)
    seconds.append(time.monotonic() - begun)
  return 1 / statistics.median(seconds[_WARM_UP:])
