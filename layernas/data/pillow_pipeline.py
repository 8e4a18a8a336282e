"""Reading, decoding and augmentation by Pillow in threads, without TensorFlow.

Pillow's decoders and filters leave Python's lock to others while they compute,
so that a pool of threads, one for each core, keeps all cores busy.
"""

import collections
import concurrent.futures
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import TypeVar

import numpy as np

from layernas.cores import usable_cores
from layernas.data import pillow_images
from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import configured_scaling
from layernas.data.dataset import to_transfer
from layernas.data.pillow_images import DamagedError
from layernas.data.preparation import configured_preparation
from layernas.data.streamed_dataset import Rows

Read = Callable[[str, int], tuple[bytes, int]]
"""From a split and a row to the bytes of its file, and its label."""

Item = TypeVar('Item')

_AHEAD = 2
"""Batches that are under way while another one is used."""

_CHECKED_AHEAD = 64
"""Images that are under way when all are checked."""


class PillowPipeline:
  """Images of a source by Pillow; see `streamed_dataset.Pipeline`."""

  decoder = 'pillow'
  errors = (DamagedError,)

  def __init__(self, read: Read, section: Any):
    """Reads nothing yet.

    Args:
      read: reads an image; called by several threads.
      section: the config's data section: `transfer`, `mean`, `deviation`, and
        what `preparation.configured_preparation` takes from it.
    """
    self._read = read
    self._preparation = configured_preparation(section)
    self._transfer = section.transfer
    self._scaling = configured_scaling(section)

  def batches(
      self, split: str, batches: range, rows: Rows, augmented: bool, size: int
  ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and labels of numbered batches."""
    del size  # Rows come in batches.

    def begun(pool: concurrent.futures.Executor) -> Iterator[_Batch]:
      for batch in batches:
        numbers, keys = rows(batch)
        if len(numbers):
          yield self._begin(pool, split, numbers, keys if augmented else None)

    for images, labels, done in _in_threads(begun, _AHEAD):
      for each in done:
        each.result()
      yield images, labels

  def whole(self, split: str, rows: np.ndarray) -> Iterator[Any]:
    """An item for each row, whose image was decoded to its end."""

    def check(row: int) -> None:
      pillow_images.check(self._encoded(split, row)[0])

    def begun(
        pool: concurrent.futures.Executor
    ) -> Iterator[concurrent.futures.Future]:
      for row in rows:
        yield pool.submit(check, row)

    for each in _in_threads(begun, _CHECKED_AHEAD):
      yield each.result()

  def reason(self, split: str, row: int) -> str:
    """Why an image cannot be read or decoded; '' where it can."""
    try:
      pillow_images.check(self._encoded(split, row)[0])
    except DamagedError as error:
      return str(error)
    return ''

  def _begin(
      self, pool: concurrent.futures.Executor, split: str, rows: np.ndarray,
      keys: np.ndarray | None,
  ) -> '_Batch':
    """Has a batch made, augmented by keys or cut as in evaluation."""
    side = self._preparation.size
    images = np.empty((len(rows), side, side, 3), TRANSFERS[self._transfer])
    labels = np.empty(len(rows), np.int64)

    def make(place: int) -> None:
      encoded, labels[place] = self._encoded(split, rows[place])
      if keys is None:
        pixels = pillow_images.central(encoded, self._preparation)
      else:
        pixels = pillow_images.augment(
            encoded, self._preparation, keys[place]
        )
      images[place] = to_transfer(pixels, self._transfer, self._scaling)

    return images, labels, [pool.submit(make, n) for n in range(len(rows))]

  def _encoded(self, split: str, row: int) -> tuple[bytes, int]:
    try:
      return self._read(split, row)
    except OSError as error:
      raise DamagedError(f'{type(error).__name__}: {error}') from error


_Batch = tuple[np.ndarray, np.ndarray, list[concurrent.futures.Future]]
"""Images and labels, and what is to be waited for before they are there."""


def _in_threads(
    begun: Callable[[concurrent.futures.Executor], Iterator[Item]], ahead: int
) -> Iterator[Item]:
  """Items of an iterator that has a pool work for them, begun ahead of time.

  Args:
    begun: given the pool, an iterator over what was handed to it.
    ahead: items that are begun beyond the one that is used.

  Yields:
    The items in their order.
  """
  pool = concurrent.futures.ThreadPoolExecutor(
      usable_cores(), thread_name_prefix='layernas-decode'
  )
  try:
    waiting = collections.deque()
    for item in begun(pool):
      waiting.append(item)
      if len(waiting) > ahead:
        yield waiting.popleft()
    yield from waiting
  finally:
    pool.shutdown(cancel_futures=True)
