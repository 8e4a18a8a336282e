"""Data sets that stay on disk: read, decoded and augmented by tf.data."""

from collections.abc import Iterator
from typing import Any
from typing import Protocol

import numpy as np
import tensorflow as tf

from layernas.data import augmentation
from layernas.data import tensor_images
from layernas.data.dataset import Batch
from layernas.data.dataset import Dataset
from layernas.data.dataset import check_batch
from layernas.data.dataset import epoch_of
from layernas.data.dataset import pad_batch
from layernas.data.random_streams import AUGMENTATION
from layernas.data.random_streams import ORDER
from layernas.data.random_streams import random_seed


class EncodedImages(Protocol):
  """Image files or records in splits, not decoded.

  The tf.data sets that it gives hold pairs: the file's bytes (string) and the
  label (any integer type).

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

  def in_order(self, split: str) -> tf.data.Dataset:
    """All images of a split, always in the same order."""

  def shuffled(self, split: str, seed: int, skip: int) -> tf.data.Dataset:
    """All images of a split in an order that the seed sets, but the first."""


class StreamedDataset(Dataset):
  """Decodes and augments encoded images while others are trained on."""

  def __init__(self, source: EncodedImages, config: Any):
    """Reads nothing yet.

    Args:
      source: of the images.
      config: data section: `image_size`, `augmentation`, `crop_padding`.
    """
    self.name = source.name
    self.class_names = source.class_names
    self.num_classes = source.num_classes
    self.image_size = config.image_size
    self._source = source
    self._augmentation = config.augmentation
    self._padding = config.crop_padding
    # Traced once: every epoch is a tf.data pipeline of its own.
    self._augmented = tf.function(self._augmented_image)
    self._central = tf.function(self._central_image)

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    return self._source.num_examples(split)

  def train_batches(
      self, split: str, batch_size: int, seed: int, start_step: int = 0
  ) -> Iterator[Batch]:
    """See the base class; `start_step` rereads the epoch up to there."""
    check_batch(self, split, batch_size)
    return self._batches(split, batch_size, seed, start_step)

  def _batches(
      self, split: str, batch_size: int, seed: int, start_step: int
  ) -> Iterator[Batch]:
    epoch, number = epoch_of(start_step, batch_size, self.num_examples(split))
    while True:
      images = self._epoch(split, seed, epoch, skip=number * batch_size)
      for batch in _batched(images, batch_size, drop_remainder=True):
        yield pad_batch(*batch, batch_size)
      epoch, number = epoch + 1, 0

  def _epoch(
      self, split: str, seed: int, epoch: int, skip: int
  ) -> tf.data.Dataset:
    """Augmented images and labels of one epoch."""
    key = tf.constant(random_seed(AUGMENTATION, seed, epoch), tf.int64)
    images = self._source.shuffled(split, random_seed(ORDER, seed, epoch), skip)
    return images.enumerate(skip).map(
        lambda index, image: (self._augmented(image[0], key, index), image[1]),
        tf.data.AUTOTUNE,
    )

  def evaluation_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
    """See the base class."""
    images = self._source.in_order(split).map(
        lambda encoded, label: (self._central(encoded), label), tf.data.AUTOTUNE
    )
    for batch in _batched(images, batch_size, drop_remainder=False):
      yield pad_batch(*batch, batch_size)

  def _augmented_image(
      self, encoded: tf.Tensor, key: tf.Tensor, index: tf.Tensor
  ) -> tf.Tensor:
    image = tensor_images.augment(
        tensor_images.decode(encoded), self.image_size, self._augmentation,
        self._padding, tf.stack([key, index]),
    )
    return augmentation.scale(image)

  def _central_image(self, encoded: tf.Tensor) -> tf.Tensor:
    image = tensor_images.central(
        tensor_images.decode(encoded), self.image_size, self._augmentation
    )
    return augmentation.scale(image)


def _batched(
    images: tf.data.Dataset, batch_size: int, drop_remainder: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  batches = images.batch(batch_size, drop_remainder)
  return batches.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()
