"""One of several processes; runs both steps of a network after a clearing.

Usage: python -m tests.training.programs_program HOST:PORT COUNT INDEX. Prints
what was compiled once JAX's caches had been cleared, and the metric sums.
"""

import json
import sys

import jax
import numpy as np

from layernas.data.dataset import HostShare
from layernas.training import hosts
from layernas.training.devices import prefetch
from layernas.training.devices import replicate
from layernas.training.devices import unreplicate
from layernas.training.programs import compilations
from layernas.training.programs import compile_programs
from tests.training import small


def main(address: str, count: int, index: int) -> None:
  """Trains and evaluates on a batch each."""
  hosts.join(address, count, index)
  config, dataset = small.get_config(), small.dataset()
  made = compile_programs(config, small.NETWORK, dataset)
  share = HostShare(index, count)
  training, evaluation = (
      next(prefetch(batches)) for batches in (
          dataset.train_batches('train', 8, 0, 0, share),
          dataset.evaluation_batches('validation', 8, share),
      )
  )
  state, seed = replicate(made.initial_state(0)), replicate(np.int32(0))
  jax.clear_caches()
  before = compilations()
  state = made.train_step(state, training, seed)
  sums = made.evaluation_step(state.evaluated, evaluation)
  found = jax.tree.map(float, unreplicate([state.sums, sums]))
  print(json.dumps({'compiled': compilations() - before, 'sums': found}))


if __name__ == '__main__':
  main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
