"""Which images make up a batch."""

import functools

import numpy as np

from layernas.data.dataset import HostShare
from layernas.data.random_streams import ORDER
from layernas.data.random_streams import random_stream


def epoch_of(step: int, batch_size: int, examples: int) -> tuple[int, int]:
  """Epoch of a batch and its number within the epoch."""
  return divmod(step, examples // batch_size)


def training_rows(
    examples: int, batch_size: int, seed: int, step: int
) -> np.ndarray:
  """Rows of a numbered training batch.

  An epoch is a permutation of all rows, cut to whole batches, so that any batch
  is found without those in front of it.

  Args:
    examples: images of the split, at least a batch.
    batch_size: over all hosts.
    seed: of the permutations.
    step: number of the batch.

  Returns:
    Those of the whole batch, int64 (batch_size,).
  """
  epoch, number = epoch_of(step, batch_size, examples)
  order = _order(examples, seed, epoch)
  return order[number * batch_size:(number + 1) * batch_size]


def evaluation_rows(
    examples: int, batch_size: int, number: int, share: HostShare
) -> np.ndarray:
  """A host's rows of a numbered evaluation batch.

  Args:
    examples: images of the split.
    batch_size: over all hosts.
    number: of the batch.
    share: which host.

  Returns:
    At most `share.size(batch_size)` rows, in rising order; of the last batch a
    host may have none.
  """
  begin = number * batch_size
  end = min(begin + batch_size, examples)
  return np.arange(begin, end)[share.rows(batch_size)]


@functools.lru_cache(maxsize=4)
def _order(examples: int, seed: int, epoch: int) -> np.ndarray:
  """The permutation of an epoch; drawn once for all of its batches."""
  order = random_stream(ORDER, seed, epoch).permutation(examples)
  order.setflags(write=False)
  return order
