"""Data sets: numbered training batches and padded evaluation batches.

Batch number s depends only on the seed and s. Its random numbers are drawn by a
key, never from a continuing stream, so it is made without the batches before
it. Training can therefore resume at any step, on any number of hosts.

Beside the class `Dataset`, this module has the parts of data sets: which images
are held out as the split 'validation', which images make up a batch, and in
which type pixels go from the host to the accelerator.
"""

import abc
import dataclasses
import functools
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from layernas.errors import UserError

Batch = dict[str, np.ndarray]
"""'image' (batch, side, side, 3), of the type in `TRANSFERS` that the config
names; 'label' int32 (batch,); 'mask' float32 (batch,), 0 for padding. Where
devices augment, 'augmentation' int32 (batch, 3): see `augmentation`."""

SPLITS = ('train', 'validation', 'all_train', 'test')
"""'train' and 'validation' divide the training images; 'all_train' is both."""


@dataclasses.dataclass(frozen=True)
class HostShare:
  """The part of every batch that a host is given.

  The parts of all hosts, one after the other, are the batch of a single host.

  Attributes:
    index: number of the host, 0 <= index < count.
    count: number of hosts.
  """

  index: int = 0
  count: int = 1

  def __post_init__(self) -> None:
    if not 0 <= self.index < self.count:
      raise ValueError(f'host {self.index}: allowed is 0 to {self.count - 1}')

  def size(self, batch_size: int) -> int:
    """Number of images of a batch for this host, including padding.

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
    """Rows of this host's images in a batch of all hosts."""
    size = self.size(batch_size)
    return slice(self.index * size, (self.index + 1) * size)


WHOLE = HostShare()
"""The share of a single host: everything."""


@dataclasses.dataclass(frozen=True)
class Scaling:
  """Mean and deviation by which pixels are scaled, for pixels of 0..1.

  The default takes 0..255 to -1..1, as the MobileNet reference code does.

  Attributes:
    mean: subtracted from red, green and blue.
    deviation: divisors of red, green and blue.
  """

  mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
  deviation: tuple[float, float, float] = (0.5, 0.5, 0.5)

  def __call__(self, pixels: Any) -> Any:
    """Scales pixels.

    Args:
      pixels: floating-point numbers, 0..255, shape (..., 3): an array or a
        tensor of any framework.

    Returns:
      The same kind and shape.
    """
    if len({*self.mean}) == len({*self.deviation}) == 1:
      # Plain numbers, which compilers fold; any shape will do.
      mean, deviation = self.mean[0], self.deviation[0]
      return pixels / (255 * deviation) - mean / deviation
    mean, deviation = np.array(self.mean), np.array(self.deviation)
    return pixels / np.float32(255 * deviation) - np.float32(mean / deviation)


MINUS_ONE_TO_ONE = Scaling()
"""The default scaling of data sets."""


class Dataset(abc.ABC):
  """Images of one side with labels, in splits.

  Attributes:
    name: name in messages.
    image_size: side of the images in batches, pixels.
    num_classes: labels are 0..num_classes-1.
    class_names: names by label, None if unknown.
    scaling: scaling of pixels; uint8 is scaled on the accelerator.
  """

  name: str
  image_size: int
  num_classes: int
  class_names: tuple[str, ...] | None
  scaling: Scaling = MINUS_ONE_TO_ONE

  def example(
      self, transfer: str
  ) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shapes and types of one example on the accelerator.

    Args:
      transfer: type in which images leave the host, one of `TRANSFERS`.

    Returns:
      Shapes and types by the names of a batch, without 'mask'.
    """
    # Bytes are scaled on the accelerator.
    pixels = 'float32' if transfer == 'uint8' else transfer
    return {
        'image': ((self.image_size, self.image_size, 3), TRANSFERS[pixels]),
        'label': ((), np.dtype(np.int32)),
    }

  def check_images(self) -> None:  # noqa: B027 - most have nothing to do
    """Looks for damaged images in all splits, before anything is trained.

    The check takes seconds at most; images that it misses are named when their
    batch comes. Data sets in memory need no check.

    Raises:
      UserError: an image is damaged; the message names the first one, and why.
    """

  @abc.abstractmethod
  def num_examples(self, split: str) -> int:
    """Number of images of a split, one of `SPLITS`."""

  def content(self) -> dict[str, Any]:
    """The content of the data set, as JSON types.

    A run continues only with a data set of the same content. The content is
    cheap to find: of a large set it is a list of files with their sizes, not
    their pixels.
    """
    return {
        'name': self.name,
        'classes': list(self.class_names or ()),
        'num_classes': self.num_classes,
        'images': {split: self.num_examples(split) for split in SPLITS},
    }

  @abc.abstractmethod
  def train_batches(
      self, split: str, batch_size: int, seed: int, start_step: int = 0,
      share: HostShare = WHOLE,
  ) -> Iterator[Batch]:
    """Endless batches of augmented images, or of images to augment.

    Every epoch is a permutation of the split, cut to whole batches. Batch
    number s depends only on the seed and s.

    Args:
      split: one of `SPLITS`.
      batch_size: over all hosts, at most the images of the split.
      seed: seed of order and augmentation.
      start_step: number of the first batch; those before it are not made.
      share: part of every batch for this host.

    Returns:
      Batches start_step, start_step + 1, ...
    """

  @abc.abstractmethod
  def evaluation_batches(
      self, split: str, batch_size: int, share: HostShare = WHOLE
  ) -> Iterator[Batch]:
    """Batches of every image of a split once, in fixed order, not augmented.

    Args:
      split: one of `SPLITS`.
      batch_size: over all hosts; the last batch is padded to it.
      share: part of every batch for this host. All hosts get equally many
        batches, and their masks together mark every image once.

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
  """Raises UserError if a split is smaller than a batch."""
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
    size: size of the batch.

  Returns:
    The batch, with a mask of 1 for the given images.
  """
  return pad_rows({'image': images, 'label': labels.astype(np.int32)}, size)


def pad_rows(arrays: Mapping[str, np.ndarray], size: int) -> Batch:
  """Arrays of examples padded with zeros to a batch.

  Args:
    arrays: by name, of equally many rows, at most `size`.
    size: size of the batch.

  Returns:
    The arrays and 'mask', 1 for the given rows.
  """
  rows = len(next(iter(arrays.values())))
  missing = size - rows
  return {
      name: np.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1))
      if missing else array
      for name, array in arrays.items()
  } | {'mask': np.repeat(np.float32([1, 0]), [rows, missing])}


ORDER, AUGMENTATION = 1, 2
"""First parts of a stream's key, so that purposes have different streams."""


def random_stream(*key: int) -> np.random.Generator:
  """A generator whose stream depends on the key alone.

  Args:
    *key: integers >= 0; the first one is the purpose.

  Returns:
    The generator, at its start.
  """
  return np.random.Generator(
      np.random.Philox(np.random.SeedSequence(list(key)))
  )


def epoch_of(step: int, batch_size: int, examples: int) -> tuple[int, int]:
  """Epoch of a batch and its number within the epoch."""
  return divmod(step, examples // batch_size)


def training_rows(
    examples: int, batch_size: int, seed: int, step: int
) -> np.ndarray:
  """Rows of a numbered training batch.

  An epoch is a permutation of all rows, cut to whole batches, so any batch is
  found without those before it.

  Args:
    examples: images of the split, at least a batch.
    batch_size: over all hosts.
    seed: seed of the permutations.
    step: number of the batch.

  Returns:
    The rows of the whole batch, int64 (batch_size,).
  """
  epoch, number = epoch_of(step, batch_size, examples)
  order = _order(examples, seed, epoch)
  return order[number * batch_size:(number + 1) * batch_size]


def evaluation_rows(
    examples: int, batch_size: int, number: int, share: HostShare
) -> np.ndarray:
  """A host's rows of a numbered evaluation batch.

  Args:
    examples: images of the split.
    batch_size: over all hosts.
    number: number of the batch.
    share: the host's share.

  Returns:
    At most `share.size(batch_size)` rows, ascending; a host may have none of
    the last batch.
  """
  begin = number * batch_size
  end = min(begin + batch_size, examples)
  return np.arange(begin, end)[share.rows(batch_size)]


@functools.lru_cache(maxsize=4)
def _order(examples: int, seed: int, epoch: int) -> np.ndarray:
  """The permutation of an epoch; drawn once for all of its batches."""
  order = random_stream(ORDER, seed, epoch).permutation(examples)
  order.setflags(write=False)
  return order


def evaluation_parts(
    examples: int, batch_size: int, share: HostShare
) -> Iterator[np.ndarray]:
  """A host's rows of all evaluation batches; see `evaluation_rows`."""
  for number in range(-(-examples // batch_size)):
    yield evaluation_rows(examples, batch_size, number, share)


def held_out_count(examples: int, share: float) -> int:
  """Number of images to hold out.

  Args:
    examples: number of images.
    share: share to hold out, 0 < share < 1.

  Returns:
    The rounded share, but at least one image and not all of them; of a single
    image none.
  """
  return min(max(round(share * examples), 1), examples - 1)


def held_out_mask(labels: np.ndarray, share: float) -> np.ndarray:
  """Marks the last images of every class, so that all classes are held out.

  Args:
    labels: shape (n,); nothing is held out of a class of one image.
    share: share of every class, see `held_out_count`.

  Returns:
    bool, shape (n,), True for the images that are held out.
  """
  mask = np.zeros(len(labels), bool)
  for label in np.unique(labels):
    rows = np.flatnonzero(labels == label)
    mask[rows[len(rows) - held_out_count(len(rows), share):]] = True
  return mask


TRANSFERS = {
    'float32': np.dtype(np.float32),
    'bfloat16': np.dtype(ml_dtypes.bfloat16),
    'uint8': np.dtype(np.uint8),
}
"""Allowed values of the field `transfer`, and the type of the images.

float32 is exact and takes the most bytes; bfloat16 takes half of them, with 8
bits of precision. Both are scaled on the host (`Scaling`). uint8, 0..255, takes
a quarter and is scaled on the accelerator, which costs little there and saves
the host a pass over the pixels. Interpolated pixels are rounded to whole
levels.
"""


def configured_scaling(section: Any) -> Scaling:
  """The scaling of a config's data section: fields `mean` and `deviation`."""
  return Scaling(tuple(section.mean), tuple(section.deviation))


def to_transfer(
    pixels: np.ndarray, transfer: str, scaling: Scaling = MINUS_ONE_TO_ONE
) -> np.ndarray:
  """Pixels in the type in which they leave the host.

  Args:
    pixels: uint8 or float32, 0..255, shape (..., 3).
    transfer: one of `TRANSFERS`.
    scaling: scaling of types other than uint8.

  Returns:
    Pixels of the same shape.
  """
  if transfer == 'uint8':
    if pixels.dtype == np.uint8:
      return pixels
    return np.rint(pixels).astype(np.uint8)
  scaled = scaling(pixels.astype(np.float32))
  return scaled.astype(TRANSFERS[transfer], copy=False)
