"""Data sets that fit in memory."""

import functools
import hashlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.data.augmentation import Augmentation
from layernas.data.dataset import AUGMENTATION
from layernas.data.dataset import WHOLE
from layernas.data.dataset import Batch
from layernas.data.dataset import Dataset
from layernas.data.dataset import HostShare
from layernas.data.dataset import check_batch
from layernas.data.dataset import check_split
from layernas.data.dataset import configured_scaling
from layernas.data.dataset import evaluation_parts
from layernas.data.dataset import held_out_mask
from layernas.data.dataset import pad_batch
from layernas.data.dataset import random_stream
from layernas.data.dataset import to_transfer
from layernas.data.dataset import training_rows
from layernas.errors import UserError

Images = Callable[[], np.ndarray]
"""Reads images, uint8 (n, side, side, 3)."""


class ArrayDataset(Dataset):
  """Images and labels in NumPy arrays.

  Images are read when they are first needed: a search whose workers train
  never needs them itself.
  """

  def __init__(
      self, name: str, splits: Mapping[str, tuple[Images, np.ndarray]],
      num_classes: int, config: Any, class_names: tuple[str, ...] | None = None,
  ):
    """Parts the training images into 'train' and 'validation'.

    Args:
      name: for messages.
      splits: 'all_train' and 'test': what reads the images, and labels (n,).
      num_classes: labels are 0..num_classes-1.
      config: data section: `image_size`, that of the images;
        `validation_share`, `augmentation`, `augment_on`, `crop_padding`,
        `transfer`, `min_object_covered`, `mean`, `deviation`.
      class_names: by label.

    Raises:
      UserError: labels are not what is said above; images that are not are
        named when they are read.
    """
    self.name = name
    self.num_classes = num_classes
    self.class_names = class_names
    self.image_size = config.image_size
    self._augmentation = Augmentation(
        config.augmentation, config.image_size, config.crop_padding,
        config.min_object_covered,
    )
    self._on_device = (
        config.augment_on == 'device' and config.augmentation != 'none'
    )
    self._transfer = config.transfer
    self.scaling = configured_scaling(config)
    read, labels = self._checked('all_train', *splits['all_train'])
    read_test, test_labels = self._checked('test', *splits['test'])
    held_out = held_out_mask(labels, config.validation_share)
    # Of a split: what reads its images, which of them they are, their labels.
    self._splits = {
        name: (read, np.flatnonzero(mask), labels[mask]) for name, mask in (
            ('all_train', np.full(len(labels), True)),
            ('train', ~held_out), ('validation', held_out),
        )
    } | {'test': (read_test, np.arange(len(test_labels)), test_labels)}

  def _checked(
      self, split: str, read: Images, labels: np.ndarray
  ) -> tuple[Images, np.ndarray]:
    """Images that are checked when they are read, once, and their labels."""
    labels = np.asarray(labels)
    if (
        labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer)
        or not np.isin(labels, range(self.num_classes)).all()
    ):
      raise UserError(
          f'data set {self.name}: labels of split {split!r}: {labels.dtype} of'
          f' shape {labels.shape}: {np.unique(labels).tolist()[:20]}; allowed'
          f' are integers from 0 to {self.num_classes - 1}, one for each image'
      )
    allowed = np.dtype(np.uint8), (
        len(labels), self.image_size, self.image_size, 3
    )

    def checked() -> np.ndarray:
      images = read()
      if (images.dtype, images.shape) != allowed:
        raise UserError(
            f'data set {self.name}: images of split {split!r}: {images.dtype}'
            f' of shape {images.shape}; allowed is {allowed[0]} of shape'
            f' {allowed[1]}: one for each label, data.image_size pixels on a'
            ' side'
        )
      return images

    return functools.cache(checked), labels

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    check_split(self, split)
    return len(self._splits[split][2])

  def content(self) -> dict[str, Any]:
    """See the base class; images and labels are in memory and count in full."""
    found = hashlib.sha256()
    for split in ('all_train', 'test'):
      read, _, labels = self._splits[split]
      found.update(np.ascontiguousarray(read()))
      found.update(np.asarray(labels, np.int64).tobytes())
    return {**super().content(), 'sha256': found.hexdigest()}

  def train_batches(
      self, split: str, batch_size: int, seed: int, start_step: int = 0,
      share: HostShare = WHOLE,
  ) -> Iterator[Batch]:
    """See the base class."""
    check_batch(self, split, batch_size)
    part = share.rows(batch_size)
    return self._batches(split, batch_size, seed, start_step, part)

  def _batches(
      self, split: str, batch_size: int, seed: int, step: int, part: slice
  ) -> Iterator[Batch]:
    examples = self.num_examples(split)
    while True:
      rows = training_rows(examples, batch_size, seed, step)[part]
      rng = random_stream(AUGMENTATION, seed, step)
      drawn = self._augmentation.draw(batch_size, rng)[part]
      images, labels = self._examples(split, rows)
      if self._on_device:
        yield self._batch(images, labels, len(rows)) | {'augmentation': drawn}
      else:
        images = self._augmentation.apply(images, drawn)
        yield self._batch(images, labels, len(rows))
      step += 1

  def evaluation_batches(
      self, split: str, batch_size: int, share: HostShare = WHOLE
  ) -> Iterator[Batch]:
    """See the base class."""
    size, examples = share.size(batch_size), self.num_examples(split)
    for rows in evaluation_parts(examples, batch_size, share):
      yield self._batch(*self._examples(split, rows), size)

  def _examples(
      self, split: str, rows: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    read, numbers, labels = self._splits[split]
    return read()[numbers[rows]], labels[rows]

  def _batch(self, images: np.ndarray, labels: np.ndarray, size: int) -> Batch:
    pixels = to_transfer(images, self._transfer, self.scaling)
    return pad_batch(pixels, labels, size)
