"""Data sets that stay on disk: read, decoded and augmented by tf.data.

`StreamedDataset` makes batches of any source of encoded images
(`EncodedImages`). Sources of local files read them in chunks: one call of
Python that mostly waits for the disk, without holding Python's lock. This takes
less than half the processor time of TensorFlow's own operations, which cost
more for a record than its copy does.
"""

import io
import pathlib
import re
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import Protocol

import numpy as np
import tensorflow as tf
from PIL import Image

from layernas.data import tensor_images
from layernas.data import terminal
from layernas.data.dataset import AUGMENTATION
from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import WHOLE
from layernas.data.dataset import Batch
from layernas.data.dataset import Dataset
from layernas.data.dataset import HostShare
from layernas.data.dataset import check_batch
from layernas.data.dataset import check_split
from layernas.data.dataset import configured_scaling
from layernas.data.dataset import evaluation_rows
from layernas.data.dataset import pad_batch
from layernas.data.dataset import random_stream
from layernas.data.dataset import training_rows
from layernas.errors import UserError

Fetch = Callable[[tf.data.Dataset], tf.data.Dataset]
"""From a tf.data set of chunks, rows int64 (n,) and keys int64 (n, 3), to one
of single images in the same order: bytes of a file, its label and its key."""

Rows = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""From a batch's number to a host's images: rows int64 (n,), keys int64 (n, 3).
"""

_ENDLESS = 2**62
"""Batches that no training reaches."""

_CHUNK = 64
"""Images that are read by one call."""

_REPORT_SECONDS = 5.0
"""Between lines on a check that takes long."""


class EncodedImages(Protocol):
  """Image files or records in splits, not decoded, read in any order.

  Attributes:
    name: for messages.
    class_names: by label, None if unknown.
    num_classes: labels are 0..num_classes-1.
  """

  name: str
  class_names: tuple[str, ...] | None
  num_classes: int

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""

  def rows(self, split: str) -> np.ndarray:
    """The number of each image of a split, int64, as the others take it."""

  def fetch(self, split: str, numbered: tf.data.Dataset) -> tf.data.Dataset:
    """Reads any images of a split; see `Fetch`."""

  def describe(self, split: str, row: int) -> str:
    """Which file or record an image is, for messages."""

  def content(self) -> dict[str, Any]:
    """Fields of `Dataset.content` that are others, or further ones."""

  def suspects(self, split: str) -> np.ndarray:
    """Rows that are to be decoded before a training begins."""


class StreamedDataset(Dataset):
  """Decodes and augments encoded images while others are trained on.

  The rows of a batch are known by its number, and only they are read.
  """

  def __init__(self, source: EncodedImages, config: Any):
    """Reads nothing yet.

    Args:
      source: of the images.
      config: data section: `transfer`, `mean`, `deviation`, and what
        `tensor_images.Preparation` takes from it.
    """
    self.name = source.name
    self.class_names = source.class_names
    self.num_classes = source.num_classes
    self.image_size = config.image_size
    self._source = source
    self._preparation = tensor_images.configured_preparation(config)
    self._transfer = config.transfer
    self.scaling = configured_scaling(config)
    # Traced once, not with every pipeline.
    self._augmented = tf.function(self._augmented_image)
    self._central = tf.function(self._central_image)
    self._whole = tf.function(self._whole_image)

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    check_split(self, split)
    return self._source.num_examples(split)

  def content(self) -> dict[str, Any]:
    """See the base class."""
    return {**super().content(), **self._source.content()}

  def train_batches(
      self, split: str, batch_size: int, seed: int, start_step: int = 0,
      share: HostShare = WHOLE,
  ) -> Iterator[Batch]:
    """See the base class."""
    check_batch(self, split, batch_size)
    part, images = share.rows(batch_size), self._source.rows(split)

    def rows(step: int) -> tuple[np.ndarray, np.ndarray]:
      numbers = training_rows(len(images), batch_size, seed, step)
      rng = random_stream(AUGMENTATION, seed, step)
      keys = rng.integers(2**63, size=(batch_size, 3))
      return images[numbers[part]], keys[part]

    return self._batches(
        split, range(start_step, _ENDLESS), rows, self._augmented,
        share.size(batch_size),
    )

  def evaluation_batches(
      self, split: str, batch_size: int, share: HostShare = WHOLE
  ) -> Iterator[Batch]:
    """See the base class."""
    size, examples = share.size(batch_size), self.num_examples(split)
    images = self._source.rows(split)

    def rows(number: int) -> tuple[np.ndarray, np.ndarray]:
      numbers = evaluation_rows(examples, batch_size, number, share)
      return images[numbers], np.zeros((len(numbers), 3), np.int64)

    batches = range(-(-examples // batch_size))
    return self._batches(split, batches, rows, self._central, size)

  def _batches(
      self, split: str, batches: range, rows: Rows, decode: Callable, size: int
  ) -> Iterator[Batch]:
    """Batches of known rows; of a bad one the image is named."""
    images = self._images(split, batches, rows, decode, size)
    for batch in batches:
      numbers, _ = rows(batch)
      if not len(numbers):  # Another host has the last images.
        yield self._empty_batch(size)
        continue
      try:
        pixels, labels = next(images)
      except tf.errors.OpError as error:
        raise self._damaged(split, numbers, error) from error
      self._check_labels(split, numbers, labels)
      yield pad_batch(pixels, labels, size)

  def _images(
      self, split: str, batches: range, rows: Rows, decode: Callable, size: int
  ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    # Not across batches: what cannot be read is an error of its own batch.
    chunks = _numbered(batches, rows).flat_map(
        lambda numbers, keys: tf.data.Dataset.from_tensor_slices(
            (numbers, keys)
        ).batch(_CHUNK)
    )
    images = self._source.fetch(split, chunks).map(
        lambda image, label, key: (decode(image, key), label), tf.data.AUTOTUNE
    )
    full = images.batch(size, num_parallel_calls=tf.data.AUTOTUNE)
    return full.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()

  def _augmented_image(self, encoded: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    image = tensor_images.augment(encoded, self._preparation, key)
    return tensor_images.to_transfer(image, self._transfer, self.scaling)

  def _central_image(self, encoded: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    del key
    image = tensor_images.central(encoded, self._preparation)
    return tensor_images.to_transfer(image, self._transfer, self.scaling)

  def _whole_image(self, encoded: tf.Tensor) -> tf.Tensor:
    """Height and width; decodes all, as no part of training need do."""
    return tf.shape(tensor_images.decode_window(encoded, tensor_images.whole))

  def _empty_batch(self, size: int) -> Batch:
    shape = (0, self.image_size, self.image_size, 3)
    images = np.zeros(shape, TRANSFERS[self._transfer])
    return pad_batch(images, np.zeros(0, np.int32), size)

  def _check_labels(
      self, split: str, numbers: np.ndarray, labels: np.ndarray
  ) -> None:
    wrong = (labels < 0) | (labels >= self.num_classes)
    if wrong.any():
      first = int(np.argmax(wrong))
      raise UserError(
          f'{self._source.describe(split, numbers[first])}: label'
          f' {labels[first]}: allowed is 0 to {self.num_classes - 1}'
      )

  def _damaged(
      self, split: str, numbers: np.ndarray, error: tf.errors.OpError
  ) -> Exception:
    """The error of a batch with the name of the image that is to blame."""
    with terminal.without_library_output():
      for number in numbers:
        reason = self._reason(split, number)
        if reason:
          return UserError(
              f'{self._source.describe(split, number)}: damaged, or no image'
              f' ({reason}): allowed are whole JPEG and PNG files'
          )
    return error

  def _reason(self, split: str, number: int) -> str:
    """Why an image cannot be read or decoded; '' where it can."""
    alone = tf.data.Dataset.from_tensors(([number], np.zeros((1, 3), np.int64)))
    encoded = None
    try:
      for encoded, _, _ in self._source.fetch(split, alone).as_numpy_iterator():
        self._whole(encoded)
    except tf.errors.OpError as error:
      said = encoded is not None and _decoders_reason(encoded)
      return said or _without_nodes(error.message)
    return ''

  def check_images(self) -> None:
    """See the base class; decodes what the source suspects."""
    # Together they are all images; those of training are met first anyway.
    for split in ('test', 'all_train'):
      rows = self._source.suspects(split)
      with terminal.without_library_output():
        self._check_split(split, rows)

  def _check_split(self, split: str, rows: np.ndarray) -> None:
    """Decodes images of a split, all of them whole."""
    begun = time.monotonic()
    numbered = tf.data.Dataset.from_tensor_slices(
        (rows, np.zeros((len(rows), 3), np.int64))
    ).batch(_CHUNK)
    shapes = self._source.fetch(split, numbered).map(
        lambda encoded, label, key: self._whole(encoded), tf.data.AUTOTUNE
    ).as_numpy_iterator()
    for number in range(len(rows)):
      try:
        next(shapes)
      except tf.errors.OpError as error:
        raise self._damaged(split, rows[number:], error) from error
      if time.monotonic() - begun > _REPORT_SECONDS:
        print(
            f'data: {number + 1:,} of {len(rows):,} images of split {split!r}'
            ' are checked', flush=True,
        )
        begun = time.monotonic()


_DECODED = ('JPEG', 'MPO', 'PNG', 'GIF', 'BMP', 'WEBP')
"""Formats, by Pillow's names, that TensorFlow decodes."""


def _decoders_reason(encoded: bytes) -> str:
  """What Pillow, which says more, finds wrong with a file; '' for nothing."""
  if not encoded:
    return 'it is empty'
  try:
    with Image.open(io.BytesIO(encoded)) as image:
      image.load()
      if image.format not in _DECODED:
        return f'it is a {image.format} file'
  except Image.UnidentifiedImageError:
    return ''
  except Exception as error:  # Its decoders raise whatever they like.
    return str(error)
  return ''


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
