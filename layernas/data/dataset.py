"""What every data set gives: numbered training batches, padded evaluation."""

import abc
from collections.abc import Iterator

import numpy as np

from layernas.errors import UserError

Batch = dict[str, np.ndarray]
"""'image' float32 (batch, side, side, 3) in -1..1, 'label' int32 (batch,) and
'mask' float32 (batch,), which is 0 for padding."""

SPLITS = ('train', 'validation', 'all_train', 'test')
"""'train' and 'validation' part the training images; 'all_train' is both."""


class Dataset(abc.ABC):
  """Images of one side with labels, in splits.

  Attributes:
    name: for messages.
    image_size: side of the images in batches, pixels.
    num_classes: labels are 0..num_classes-1.
    class_names: by label, None if unknown.
  """

  name: str
  image_size: int
  num_classes: int
  class_names: tuple[str, ...] | None

  @abc.abstractmethod
  def num_examples(self, split: str) -> int:
    """Number of images of a split, one of `SPLITS`."""

  @abc.abstractmethod
  def train_batches(
      self, split: str, batch_size: int, seed: int, start_step: int = 0
  ) -> Iterator[Batch]:
    """Augmented batches without end.

    Every epoch is a permutation of the split, cut to whole batches. What batch
    number s holds depends on the seed and s alone.

    Args:
      split: one of `SPLITS`.
      batch_size: at most the images of the split.
      seed: of order and augmentation.
      start_step: number of the first batch.

    Returns:
      Batches start_step, start_step + 1, ...
    """

  @abc.abstractmethod
  def evaluation_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
    """Every image of a split once, in a fixed order, not augmented.

    Args:
      split: one of `SPLITS`.
      batch_size: the last batch is padded to it.

    Returns:
      The batches.
    """


def check_batch(dataset: Dataset, split: str, batch_size: int) -> None:
  """Raises UserError unless a split has a whole batch."""
  examples = dataset.num_examples(split)
  if not 1 <= batch_size <= examples:
    raise UserError(
        f'batch size {batch_size}: allowed is 1 to {examples}, the images in'
        f' split {split!r} of {dataset.name}'
    )


def epoch_of(
    step: int, batch_size: int, examples: int
) -> tuple[int, int]:
  """Epoch of a batch and its number within the epoch."""
  return divmod(step, examples // batch_size)


def pad_batch(images: np.ndarray, labels: np.ndarray, size: int) -> Batch:
  """A batch padded with zeros to a size.

  Args:
    images: float32, at most `size` of them.
    labels: their labels.
    size: of the batch.

  Returns:
    The batch, its mask 1 for the given images.
  """
  missing = size - len(images)
  mask = np.repeat(np.float32([1, 0]), [len(images), missing])
  if missing:
    images = np.pad(images, [(0, missing), (0, 0), (0, 0), (0, 0)])
  return {
      'image': images,
      'label': np.pad(labels.astype(np.int32), (0, missing)),
      'mask': mask,
  }
