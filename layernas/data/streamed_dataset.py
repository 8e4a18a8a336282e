"""Data sets that stay on disk: read, decoded and augmented while others train.

`StreamedDataset` makes batches of any source of encoded images
(`EncodedImages`). What reads and decodes is a `Pipeline`: tf.data
(`tensor_pipeline`), or Pillow in threads (`pillow_pipeline`).
"""

import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import Protocol

import numpy as np

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

Rows = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""From a batch's number to a host's images: rows int64 (n,), keys int64 (n, 3).
"""

_ENDLESS = 2**62
"""Batches that no training reaches."""

_REPORT_SECONDS = 5.0
"""Between lines on a check that takes long."""

_DECODER = 'tensorflow'
"""What decoded the images of workdirs that do not say it."""


class EncodedImages(Protocol):
  """Image files or records in splits, not decoded.

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

  def describe(self, split: str, row: int) -> str:
    """Which file or record an image is, for messages."""

  def content(self) -> dict[str, Any]:
    """Fields of `Dataset.content` that are others, or further ones."""

  def suspects(self, split: str) -> np.ndarray:
    """Rows that are to be decoded before a training begins."""


class Pipeline(Protocol):
  """Reads, decodes and augments images of a source, several at a time.

  Attributes:
    decoder: by which images are decoded.
    errors: what an iterator raises where an image cannot be read or decoded.
  """

  decoder: str
  errors: tuple[type[Exception], ...]

  def batches(
      self, split: str, batches: range, rows: Rows, augmented: bool, size: int
  ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and labels of numbered batches.

    Args:
      split: of the source.
      batches: their numbers.
      rows: which images they are; the result depends on rows and keys alone.
      augmented: whether images are augmented by their keys, or cut as in
        evaluation.
      size: images of every batch but the last.

    Returns:
      Of each batch with any rows images (n, side, side, 3) of the type of
      transfer, and labels (n,).
    """

  def whole(self, split: str, rows: np.ndarray) -> Iterator[Any]:
    """An item for each row, whose image was decoded to its end."""

  def reason(self, split: str, row: int) -> str:
    """Why an image cannot be read or decoded; '' where it can."""


class StreamedDataset(Dataset):
  """Decodes and augments encoded images while others are trained on.

  The rows of a batch are known by its number, and only they are read.
  """

  def __init__(self, source: EncodedImages, pipeline: Pipeline, section: Any):
    """Reads nothing yet.

    Args:
      source: of the images.
      pipeline: made with the same section.
      section: the config's data section: `image_size`, `transfer`, `mean` and
        `deviation`.
    """
    self.name = source.name
    self.class_names = source.class_names
    self.num_classes = source.num_classes
    self.image_size = section.image_size
    self.scaling = configured_scaling(section)
    self._source = source
    self._pipeline = pipeline
    self._transfer = section.transfer

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    check_split(self, split)
    return self._source.num_examples(split)

  def content(self) -> dict[str, Any]:
    """See the base class; 'decoder' says what decodes, if not TensorFlow."""
    content = {**super().content(), **self._source.content()}
    if self._pipeline.decoder != _DECODER:
      content['decoder'] = self._pipeline.decoder
    return content

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
        split, range(start_step, _ENDLESS), rows, True, share.size(batch_size)
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
    return self._batches(split, batches, rows, False, size)

  def _batches(
      self, split: str, batches: range, rows: Rows, augmented: bool, size: int
  ) -> Iterator[Batch]:
    """Batches of known rows; of a bad one the image is named."""
    images = self._pipeline.batches(split, batches, rows, augmented, size)
    for batch in batches:
      numbers, _ = rows(batch)
      if not len(numbers):  # Another host has the last images.
        yield self._empty_batch(size)
        continue
      try:
        pixels, labels = next(images)
      except self._pipeline.errors as error:
        raise self._damaged(split, numbers, error) from error
      self._check_labels(split, numbers, labels)
      yield pad_batch(pixels, labels, size)

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
      self, split: str, numbers: np.ndarray, error: Exception
  ) -> Exception:
    """The error of a batch with the name of the image that is to blame."""
    with terminal.without_library_output():
      for number in numbers:
        reason = self._pipeline.reason(split, number)
        if reason:
          return UserError(
              f'{self._source.describe(split, number)}: damaged, or no image'
              f' ({reason}): allowed are whole JPEG and PNG files'
          )
    return error

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
    images = self._pipeline.whole(split, rows)
    for number in range(len(rows)):
      try:
        next(images)
      except self._pipeline.errors as error:
        raise self._damaged(split, rows[number:], error) from error
      if time.monotonic() - begun > _REPORT_SECONDS:
        print(
            f'data: {number + 1:,} of {len(rows):,} images of split {split!r}'
            ' are checked', flush=True,
        )
        begun = time.monotonic()
