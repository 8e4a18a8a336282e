"""Reading, decoding and augmentation by tf.data, for `StreamedDataset`.

Sources of local files read them in chunks: one call of Python that mostly waits
for the disk, without holding Python's lock. This takes less than half the
processor time of TensorFlow's own operations, which cost more for a record than
its copy does.
"""

import pathlib
import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from layernas.data import tensor_images
from layernas.data.dataset import configured_scaling
from layernas.data.image_files import fault
from layernas.data.preparation import configured_preparation
from layernas.data.streamed_dataset import Rows

Fetch = Callable[[tf.data.Dataset], tf.data.Dataset]
"""From a tf.data set of chunks, rows int64 (n,) and keys int64 (n, 3), to one
of single images in the same order: bytes of a file, its label and its key."""

_CHUNK = 64
"""Images that are read by one call."""


class TensorPipeline:
  """Images of a source by tf.data; see `streamed_dataset.Pipeline`."""

  decoder = 'tensorflow'
  errors = (tf.errors.OpError,)

  def __init__(self, fetch: Callable[[str], Fetch], section: Any):
    """Reads nothing yet.

    Args:
      fetch: what reads the images of a split.
      section: the config's data section: `transfer`, `mean`, `deviation`, and
        what `preparation.configured_preparation` takes from it.
    """
    self._fetch = fetch
    self._preparation = configured_preparation(section)
    self._transfer = section.transfer
    self._scaling = configured_scaling(section)
    # Traced once, not with every iterator.
    self._augmented = tf.function(self._augmented_image)
    self._central = tf.function(self._central_image)
    self._whole = tf.function(self._whole_image)

  def batches(
      self, split: str, batches: range, rows: Rows, augmented: bool, size: int
  ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and labels of numbered batches."""
    decode = self._augmented if augmented else self._central
    # Not across batches: what cannot be read is an error of its own batch.
    chunks = _numbered(batches, rows).flat_map(
        lambda numbers, keys: tf.data.Dataset.from_tensor_slices(
            (numbers, keys)
        ).batch(_CHUNK)
    )
    images = self._fetch(split)(chunks).map(
        lambda image, label, key: (decode(image, key), label), tf.data.AUTOTUNE
    )
    full = images.batch(size, num_parallel_calls=tf.data.AUTOTUNE)
    return full.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()

  def whole(self, split: str, rows: np.ndarray) -> Iterator[Any]:
    """An item for each row, whose image was decoded to its end."""
    numbered = tf.data.Dataset.from_tensor_slices(
        (rows, np.zeros((len(rows), 3), np.int64))
    ).batch(_CHUNK)
    return self._fetch(split)(numbered).map(
        lambda encoded, label, key: self._whole(encoded), tf.data.AUTOTUNE
    ).as_numpy_iterator()

  def reason(self, split: str, row: int) -> str:
    """Why an image cannot be read or decoded; '' where it can."""
    alone = tf.data.Dataset.from_tensors(([row], np.zeros((1, 3), np.int64)))
    encoded = None
    try:
      for encoded, _, _ in self._fetch(split)(alone).as_numpy_iterator():
        self._whole(encoded)
    except tf.errors.OpError as error:
      said = encoded is not None and fault(encoded)
      return said or _without_nodes(error.message)
    return ''

  def _augmented_image(self, encoded: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    image = tensor_images.augment(encoded, self._preparation, key)
    return tensor_images.to_transfer(image, self._transfer, self._scaling)

  def _central_image(self, encoded: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    del key
    image = tensor_images.central(encoded, self._preparation)
    return tensor_images.to_transfer(image, self._transfer, self._scaling)

  def _whole_image(self, encoded: tf.Tensor) -> tf.Tensor:
    """Height and width; decodes all, as no part of training need do."""
    return tf.shape(tensor_images.decode_window(encoded, tensor_images.whole))


def _without_nodes(message: str) -> str:
  """A message of TensorFlow without its names of operations."""
  first = (message.splitlines() or [''])[0]
  return re.sub(
      r'^.*Iterator::Root\S*: |\{\{.*?\}\} *| *\[Op:.*?\]| *\[\[.*', '', first
  )


def _numbered(batches: range, rows: Rows) -> tf.data.Dataset:
  """Rows and keys of the batches.

  Not from_generator: it has the allocator give memory back at once, for the
  whole process, which makes decoding slower by six per cent.
  """

  def of(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    numbers, keys = tf.numpy_function(rows, [batch], (tf.int64, tf.int64))
    return tf.ensure_shape(numbers, (None,)), tf.ensure_shape(keys, (None, 3))

  return tf.data.Dataset.range(batches.start, batches.stop).map(of)


Read = Callable[[np.ndarray], tuple[Sequence[bytes], Sequence[int]]]
"""From rows of a split, int64 (n,), to their bytes and their labels."""

_CHUNKS = 8
"""Read at a time: as many reads as a disk likes to have before it."""


def read_locally(numbered: tf.data.Dataset, read: Read) -> tf.data.Dataset:
  """Adds the bytes and labels of rows.

  Args:
    numbered: of chunks: rows int64 (n,) and keys int64 (n, 3).
    read: finds what belongs to some rows.

  Returns:
    Of single images, in the same order: bytes, label and key.
  """

  def read_chunk(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    data, labels = read(rows)
    return np.array(data, object), np.array(labels, np.int64)

  def with_data(rows: tf.Tensor, keys: tf.Tensor) -> tuple[tf.Tensor, ...]:
    data, labels = tf.numpy_function(read_chunk, [rows], (tf.string, tf.int64))
    shape = tf.TensorShape((None,))
    return tf.ensure_shape(data, shape), tf.ensure_shape(labels, shape), keys

  return numbered.map(with_data, _CHUNKS).unbatch()


def read_part(path: str, offset: int, length: int) -> bytes:
  """Some bytes of a file; fewer where it ends before."""
  with pathlib.Path(path).open('rb', buffering=0) as file:
    file.seek(offset)
    return file.read(length)
