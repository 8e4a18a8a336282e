"""Augmentation of batches in memory, NumPy only."""

import dataclasses

import numpy as np

AUGMENTATIONS = ('none', 'flip', 'crop_flip', 'resized_crop')
"""'crop_flip' pads, crops at random and flips (He et al., 2015, CIFAR);
'resized_crop' takes a random area and aspect (Inception) and flips."""

ON_DEVICE = ('none', 'flip', 'crop_flip')
"""Those that only move pixels: devices give the same bits as the host."""

AREA = (0.08, 1.0)
"""Smallest and largest share of the image that resized_crop takes."""

ASPECT = (3 / 4, 4 / 3)
"""Smallest and largest width / height of the area that it takes."""

CENTRAL_SHARE = 224 / 256
"""Share of the shorter side that evaluation sees after training with
'resized_crop', whose crops enlarge objects as much (Szegedy et al., 2015)."""

TRIES = 10
"""Areas that are drawn until one fits into the image."""

FALLBACKS = ('whole', 'central')
"""What resized_crop takes where none of them does: the whole image, or the part
that evaluation sees. Of a square image in memory both are the whole."""


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """What is done at random to images in memory.

  Random numbers are drawn for a whole batch, and what an image becomes depends
  on its own ones alone: whoever has them can augment any part of the batch.

  Attributes:
    kind: one of `AUGMENTATIONS`.
    side: of the images, pixels.
    padding: pixels at each border that 'crop_flip' adds.
    min_covered: share of the image that 'resized_crop' takes at least.
  """

  kind: str
  side: int
  padding: int = 0
  min_covered: float = 0.0

  def draw(self, batch: int, rng: np.random.Generator) -> np.ndarray:
    """Draws the random numbers of a batch.

    Args:
      batch: images.
      rng: of this batch.

    Returns:
      A row for each image. Of `ON_DEVICE` int32 (batch, 3): by how many rows
      the crop lies below the image, by how many columns on its right, and 1
      where it is mirrored. Of 'resized_crop' float64 (batch, 5): top, left,
      height and width of the area, pixels, and the same 1.
    """
    if self.kind == 'none':
      return np.zeros((batch, 3), np.int32)
    if self.kind == 'resized_crop':
      size = _random_sizes(batch, self.side, rng, self.min_covered)
      # Every whole pixel at which the area fits is equally likely.
      corner = np.floor(rng.random((2, batch)) * (self.side - size + 1))
      return np.stack([*corner, *size, rng.random(batch) < 0.5], axis=1)
    padding = self.padding if self.kind == 'crop_flip' else 0
    down, right = (
        rng.integers(0, 2 * padding + 1, (batch, 1))[:, 0] - padding
        for _ in range(2)
    )
    flips = rng.random(batch) < 0.5
    return np.stack([down, right, flips], axis=1).astype(np.int32)

  def apply(self, images: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Augments images.

    Args:
      images: uint8, shape (n, side, side, 3).
      drawn: their rows of what `draw` gave.

    Returns:
      0..255, same shape: float32 for 'resized_crop', which interpolates, else
      uint8.
    """
    if self.kind == 'none':
      return images
    if self.kind == 'resized_crop':
      return _resized(images, drawn)
    return _moved(images, drawn)


def _moved(images: np.ndarray, drawn: np.ndarray) -> np.ndarray:
  """Crops zero-padded images, mirrors some of them."""
  count, side, _, channels = images.shape
  border = int(np.abs(drawn[:, :2]).max(initial=0))
  rows, columns = border + drawn[:, :2].T[:, :, None] + np.arange(side)
  flips = drawn[:, 2] == 1
  columns[flips] = columns[flips, ::-1]
  width = side + 2 * border
  padded = np.zeros((count, width, width, channels), images.dtype)
  padded[:, border:border + side, border:border + side] = images
  rows += np.arange(count)[:, None] * width
  # By one index for each pixel: several would take NumPy five times as long.
  places = rows[:, :, None] * width + columns[:, None, :]
  return padded.reshape(-1, channels).take(places, axis=0)


def _resized(images: np.ndarray, drawn: np.ndarray) -> np.ndarray:
  """Resizes areas of images to full size, mirrors some of them."""
  top, left, height, width, flips = drawn.T
  side = images.shape[1]
  rows = _positions(top, height, side)
  columns = _positions(left, width, side)
  columns[flips == 1] = columns[flips == 1, ::-1]
  return _bilinear(images.astype(np.float32), rows, columns)


def _random_sizes(
    batch: int, side: int, rng: np.random.Generator, min_covered: float
) -> np.ndarray:
  """Heights and widths of areas in whole pixels, shape (2, batch).

  Areas that do not fit are drawn again, as torchvision and TensorFlow do. To
  cut them to the image instead would favour large ones.
  """
  area = rng.uniform(*AREA, (TRIES, batch))
  ratio = np.exp(rng.uniform(*np.log(ASPECT), (TRIES, batch)))
  sizes = np.rint(np.sqrt([area / ratio, area * ratio]) * side)
  fits = (sizes >= 1).all(0) & (sizes <= side).all(0)
  fits &= sizes.prod(0) >= min_covered * side**2
  first = sizes[:, fits.argmax(0), np.arange(batch)]
  return np.where(fits.any(0), first, side)


def _positions(start: np.ndarray, length: np.ndarray, side: int) -> np.ndarray:
  """Pixel centres of the output in the input, shape (batch, side)."""
  steps = (np.arange(side) + 0.5) / side
  return np.clip(start[:, None] + length[:, None] * steps - 0.5, 0, side - 1)


def _bilinear(
    images: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
  """Samples images at rows x columns; rows first, they are contiguous."""
  images = _interpolate(images, rows)
  return _interpolate(images.swapaxes(1, 2), columns).swapaxes(1, 2)


def _interpolate(images: np.ndarray, positions: np.ndarray) -> np.ndarray:
  """Samples images along axis 1, between neighbouring pixels."""
  low = np.floor(positions).astype(int)
  high = np.minimum(low + 1, images.shape[1] - 1)
  share = (positions - low).astype(np.float32)[:, :, None, None]
  index = np.arange(len(images))[:, None]
  near, far = images[index, low], images[index, high]
  return near + (far - near) * share
