"""One of several processes; prints what the functions of hosts.py gave it.

Usage: python -m tests.training.hosts_program HOST:PORT COUNT INDEX
"""

import json
import sys
from collections.abc import Callable

import jax
import numpy as np

from layernas.data.dataset import HostShare
from layernas.errors import UserError
from layernas.training import hosts
from layernas.training.devices import prefetch
from tests.training import small


def answer(function: Callable[[], object]) -> object:
  """Result, or the text of the error."""
  try:
    return function()
  except UserError as error:
    return str(error)


def first_batch(augment_on: str) -> list[str]:
  """What this process's devices are given of a batch, as text."""
  data = small.dataset(augment_on=augment_on)
  share = HostShare(jax.process_index(), jax.process_count())
  batch = next(prefetch(data.train_batches('train', 8, 0, share=share)))
  return [np.asarray(array).tobytes().hex() for array in batch.values()]


def main(address: str, count: int, index: int) -> None:
  """Calls each function once."""
  hosts.join(address, count, index)

  def fail() -> None:
    raise UserError(f'{index} is broken')

  tree = {'x': np.float32([-0.0, index, np.nan]), 'step': np.int32(index + 7)}
  told = hosts.shared_arrays(tree)
  print(json.dumps({
      'first': hosts.is_first(),
      'told': hosts.shared({'index': index, 'text': 'é' * (1 + index)}),
      'bytes': [told['step'].tobytes().hex(), told['x'].tobytes().hex()],
      'shapes': [told['step'].shape, told['x'].shape],
      'batches': [first_batch(where) for where in ('host', 'device')],
      'on_first': answer(lambda: hosts.on_first(lambda: [index])),
      'on_first_fails': answer(lambda: hosts.on_first(fail)),
      'on_all': answer(lambda: hosts.on_all(lambda: [index])),
      'on_all_fails': answer(
          lambda: hosts.on_all(fail if index else lambda: None)
      ),
      'agree': answer(lambda: hosts.agree('config', {'a': {'b': 1}})),
      'disagree': answer(
          lambda: hosts.agree('config', {'a': {'b': index, 'c': 1}})
      ),
  }))


if __name__ == '__main__':
  main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
