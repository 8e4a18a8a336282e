"""Your own data sets in memory: dicts of arrays of any shapes."""

import hashlib
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.data.dataset import WHOLE
from layernas.data.dataset import Batch
from layernas.data.dataset import Dataset
from layernas.data.dataset import HostShare
from layernas.data.dataset import check_batch
from layernas.data.dataset import check_split
from layernas.data.dataset import evaluation_parts
from layernas.data.dataset import held_out_count
from layernas.data.dataset import pad_rows
from layernas.data.dataset import random_stream
from layernas.data.dataset import training_rows
from layernas.errors import UserError

# First word of the key of the stream that parts the training examples.
_PARTING = 3


class TableDataset(Dataset):
  """Examples that are rows of several arrays.

  Batches are dicts with the same names and 'mask'. Nothing is augmented.
  """

  def __init__(
      self, name: str, all_train: Mapping[str, np.ndarray],
      test: Mapping[str, np.ndarray], validation_share: float,
      num_classes: int = 1,
  ):
    """Divides the training examples at random into 'train' and 'validation'.

    Args:
      name: name in messages.
      all_train: arrays by name, shape (n, ...), of types that JAX has.
      test: arrays of the same names, types and shapes behind the first axis.
      validation_share: share of the training examples to hold out.
      num_classes: number of outputs of the networks.

    Raises:
      UserError: arrays do not fit each other.
    """
    self.name, self.num_classes = name, num_classes
    self.class_names, self.image_size = None, 0
    self._check(all_train, test)
    examples = _length(all_train)
    order = random_stream(_PARTING, 0).permutation(examples)
    held_out = held_out_count(examples, validation_share)
    validation, train = np.split(order, [held_out])
    self._splits = {
        'all_train': dict(all_train), 'test': dict(test),
        'train': _rows(all_train, np.sort(train)),
        'validation': _rows(all_train, np.sort(validation)),
    }

  def example(
      self, transfer: str
  ) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """See the base class; every array keeps its type."""
    del transfer
    return {
        name: (array.shape[1:], array.dtype)
        for name, array in self._splits['test'].items()
    }

  def num_examples(self, split: str) -> int:
    """Number of examples of a split."""
    check_split(self, split)
    return _length(self._splits[split])

  def content(self) -> dict[str, Any]:
    """See the base class; every number is part of it."""
    found = hashlib.sha256()
    for split in ('all_train', 'test'):
      for name, array in sorted(self._splits[split].items()):
        found.update(f'{name} {array.dtype} {array.shape}'.encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return {**super().content(), 'sha256': found.hexdigest()}

  def train_batches(
      self, split: str, batch_size: int, seed: int, start_step: int = 0,
      share: HostShare = WHOLE,
  ) -> Iterator[Batch]:
    """See the base class."""
    check_batch(self, split, batch_size)
    rows, examples = share.rows(batch_size), self.num_examples(split)
    step = start_step
    while True:
      chosen = training_rows(examples, batch_size, seed, step)[rows]
      yield self._batch(split, chosen, len(chosen))
      step += 1

  def evaluation_batches(
      self, split: str, batch_size: int, share: HostShare = WHOLE
  ) -> Iterator[Batch]:
    """See the base class."""
    size, examples = share.size(batch_size), self.num_examples(split)
    for rows in evaluation_parts(examples, batch_size, share):
      yield self._batch(split, rows, size)

  def _batch(self, split: str, rows: np.ndarray, size: int) -> Batch:
    return pad_rows(_rows(self._splits[split], rows), size)

  def _check(
      self, all_train: Mapping[str, np.ndarray], test: Mapping[str, np.ndarray]
  ) -> None:
    for split, arrays in (('training', all_train), ('test', test)):
      lengths = {name: len(array) for name, array in arrays.items()}
      if len(set(lengths.values())) != 1:
        raise UserError(
            f'data set {self.name}: {split} examples {lengths}: allowed are'
            ' arrays with one row for each example'
        )
    shapes = [
        {name: (array.shape[1:], str(array.dtype))
         for name, array in arrays.items()}
        for arrays in (all_train, test)
    ]
    if shapes[0] != shapes[1]:
      raise UserError(
          f'data set {self.name}: arrays {shapes[0]} to train and {shapes[1]}'
          ' to test: allowed are equal names, shapes and types'
      )
    for name in ('mask', 'augmentation'):
      if name in shapes[0]:
        raise UserError(
            f'data set {self.name}: array {name!r}: allowed are other names'
        )


def _length(arrays: Mapping[str, np.ndarray]) -> int:
  return len(next(iter(arrays.values())))


def _rows(
    arrays: Mapping[str, np.ndarray], rows: np.ndarray
) -> dict[str, np.ndarray]:
  return {name: array[rows] for name, array in arrays.items()}
