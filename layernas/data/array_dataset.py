"""Data sets that fit in memory."""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.data import augmentation
from layernas.data.batch_rows import evaluation_rows
from layernas.data.batch_rows import training_rows
from layernas.data.dataset import WHOLE
from layernas.data.dataset import Batch
from layernas.data.dataset import Dataset
from layernas.data.dataset import HostShare
from layernas.data.dataset import check_batch
from layernas.data.dataset import check_split
from layernas.data.dataset import pad_batch
from layernas.data.held_out import held_out_mask
from layernas.data.random_streams import AUGMENTATION
from layernas.data.random_streams import random_stream
from layernas.data.transfer import to_transfer


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
      config: data section: `validation_share`, `augmentation`,
        `crop_padding`, `transfer`.
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
    self._transfer = config.transfer
    held_out = held_out_mask(self._labels['all_train'], config.validation_share)
    for split, rows in (('train', ~held_out), ('validation', held_out)):
      self._images[split] = self._images['all_train'][rows]
      self._labels[split] = self._labels['all_train'][rows]

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    check_split(self, split)
    return len(self._labels[split])

  def train_batches(
      self, split: str, batch_size: int, seed: int, start_step: int = 0,
      share: HostShare = WHOLE,
  ) -> Iterator[Batch]:
    """See the base class; a host augments whole batches, they are small."""
    check_batch(self, split, batch_size)
    rows = share.rows(batch_size)
    batches = self._batches(split, batch_size, seed, start_step)
    return (
        {name: array[rows] for name, array in batch.items()}
        for batch in batches
    )

  def _batches(
      self, split: str, batch_size: int, seed: int, step: int
  ) -> Iterator[Batch]:
    examples = self.num_examples(split)
    while True:
      rows = training_rows(examples, batch_size, seed, step)
      rng = random_stream(AUGMENTATION, seed, step)
      images = augmentation.augment(
          self._images[split][rows], self._augmentation, self._padding, rng
      )
      yield self._batch(images, self._labels[split][rows], batch_size)
      step += 1

  def evaluation_batches(
      self, split: str, batch_size: int, share: HostShare = WHOLE
  ) -> Iterator[Batch]:
    """See the base class."""
    size, examples = share.size(batch_size), self.num_examples(split)
    for number in range(-(-examples // batch_size)):
      rows = evaluation_rows(examples, batch_size, number, share)
      yield self._batch(
          self._images[split][rows], self._labels[split][rows], size
      )

  def _batch(self, images: np.ndarray, labels: np.ndarray, size: int) -> Batch:
    return pad_batch(to_transfer(images, self._transfer), labels, size)
