"""Images that one of several processes cannot read to the end."""

from collections.abc import Iterator
from typing import Any

import jax

from layernas.data import embedded_cifar10
from layernas.data.dataset import Batch
from layernas.data.dataset import Dataset


def load(data: Any, process: int) -> Dataset:
  """The embedded images; in one process the fourth batch fails."""
  dataset = embedded_cifar10.load(data)
  batches = dataset.train_batches

  def broken(*arguments: Any) -> Iterator[Batch]:
    for number, batch in enumerate(batches(*arguments)):
      if number == 3 and jax.process_index() == process:
        raise RuntimeError('the disk of this host is gone')
      yield batch

  dataset.train_batches = broken
  return dataset
