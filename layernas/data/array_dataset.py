"""Data sets that fit in memory."""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.data import augmentation
from layernas.data.dataset import Batch
from layernas.data.dataset import Dataset
from layernas.data.dataset import check_batch
from layernas.data.dataset import epoch_of
from layernas.data.dataset import pad_batch
from layernas.data.held_out import held_out_mask
from layernas.data.random_streams import AUGMENTATION
from layernas.data.random_streams import ORDER
from layernas.data.random_streams import random_stream


class ArrayDataset(Dataset):
  """Images and labels in NumPy arrays."""

  def __init__(
      self, name: str, splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
      num_classes: int, config: Any, class_names: tuple[str, ...] | None = None,
  ):
    """Parts the training images into 'train' and 'validation'.

    Args:
      name: for messages.
      splits: 'all_train' and 'test': images uint8 (n, side, side, 3) and
        labels (n,).
      num_classes: labels are 0..num_classes-1.
      config: data section: `validation_share`, `augmentation`, `crop_padding`.
      class_names: by label.
    """
    self.name = name
    self.num_classes = num_classes
    self.class_names = class_names
    self._images, self._labels = {}, {}
    for split in ('all_train', 'test'):
      self._images[split], self._labels[split] = splits[split]
    self.image_size = self._images['test'].shape[1]
    self._augmentation = config.augmentation
    self._padding = config.crop_padding
    held_out = held_out_mask(self._labels['all_train'], config.validation_share)
    for split, rows in (('train', ~held_out), ('validation', held_out)):
      self._images[split] = self._images['all_train'][rows]
      self._labels[split] = self._labels['all_train'][rows]

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    return len(self._labels[split])

  def train_batches(
      self, split: str, batch_size: int, seed: int, start_step: int = 0
  ) -> Iterator[Batch]:
    """See the base class."""
    check_batch(self, split, batch_size)
    return self._batches(split, batch_size, seed, start_step)

  def _batches(
      self, split: str, batch_size: int, seed: int, step: int
  ) -> Iterator[Batch]:
    examples = self.num_examples(split)
    last_epoch = -1
    while True:
      epoch, number = epoch_of(step, batch_size, examples)
      if epoch != last_epoch:
        order = random_stream(ORDER, seed, epoch).permutation(examples)
        last_epoch = epoch
      rows = order[number * batch_size:(number + 1) * batch_size]
      rng = random_stream(AUGMENTATION, seed, step)
      images = augmentation.augment(
          self._images[split][rows], self._augmentation, self._padding, rng
      )
      yield pad_batch(images, self._labels[split][rows], batch_size)
      step += 1

  def evaluation_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
    """See the base class."""
    for begin in range(0, self.num_examples(split), batch_size):
      rows = slice(begin, begin + batch_size)
      images = augmentation.normalise(self._images[split][rows])
      yield pad_batch(images, self._labels[split][rows], batch_size)
