"""What every data set gives: numbered training batches, padded evaluation."""

import abc
import dataclasses
from collections.abc import Iterator

import numpy as np

from layernas.errors import UserError

Batch = dict[str, np.ndarray]
"""'image' (batch, side, side, 3) as the config's `transfer` says, see
`transfer.TRANSFERS`; 'label' int32 (batch,); 'mask' float32 (batch,), which is
0 for padding."""

SPLITS = ('train', 'validation', 'all_train', 'test')
"""'train' and 'validation' part the training images; 'all_train' is both."""


@dataclasses.dataclass(frozen=True)
class HostShare:
  """Which part of every batch a host is given.

  The parts of all hosts, one after the other, are the batch of a single host.

  Attributes:
    index: of the host, 0 <= index < count.
    count: number of hosts.
  """

  index: int = 0
  count: int = 1

  def __post_init__(self) -> None:
    if not 0 <= self.index < self.count:
      raise ValueError(f'host {self.index}: allowed is 0 to {self.count - 1}')

  def size(self, batch_size: int) -> int:
    """Images of a batch that this host is given, padding included.

    Args:
      batch_size: over all hosts.

    Returns:
      The same number for every host.

    Raises:
      UserError: the hosts cannot share a batch evenly.
    """
    if batch_size % self.count:
      raise UserError(
          f'batch size {batch_size}: allowed are multiples of {self.count}, the'
          ' number of hosts'
      )
    return batch_size // self.count

  def rows(self, batch_size: int) -> slice:
    """Where this host's images lie in a batch; `batch_size` over all hosts."""
    size = self.size(batch_size)
    return slice(self.index * size, (self.index + 1) * size)


WHOLE = HostShare()
"""A single host is given everything."""


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
      self, split: str, batch_size: int, seed: int, start_step: int = 0,
      share: HostShare = WHOLE,
  ) -> Iterator[Batch]:
    """Augmented batches without end.

    Every epoch is a permutation of the split, cut to whole batches. What batch
    number s holds depends on the seed and s alone.

    Args:
      split: one of `SPLITS`.
      batch_size: over all hosts, at most the images of the split.
      seed: of order and augmentation.
      start_step: number of the first batch; those before it are not made.
      share: what this host is given of every batch.

    Returns:
      Batches start_step, start_step + 1, ...
    """

  @abc.abstractmethod
  def evaluation_batches(
      self, split: str, batch_size: int, share: HostShare = WHOLE
  ) -> Iterator[Batch]:
    """Every image of a split once, in a fixed order, not augmented.

    Args:
      split: one of `SPLITS`.
      batch_size: over all hosts; the last batch is padded to it.
      share: what this host is given of every batch. All hosts get equally
        many batches, and their masks together mark every image once.

    Returns:
      The batches.
    """


def check_split(dataset: Dataset, split: str) -> None:
  """Raises UserError unless `split` is one of `SPLITS`."""
  if split not in SPLITS:
    raise UserError(
        f'split {split!r} of {dataset.name}: allowed is one of {list(SPLITS)}'
    )


def check_batch(dataset: Dataset, split: str, batch_size: int) -> None:
  """Raises UserError unless a split has a whole batch."""
  examples = dataset.num_examples(split)
  if not 1 <= batch_size <= examples:
    raise UserError(
        f'batch size {batch_size}: allowed is 1 to {examples}, the images in'
        f' split {split!r} of {dataset.name}'
    )


def pad_batch(images: np.ndarray, labels: np.ndarray, size: int) -> Batch:
  """A batch padded with zeros to a size.

  Args:
    images: at most `size` of them.
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
