"""Augmentation of batches in memory, NumPy only."""

import numpy as np

AUGMENTATIONS = ('none', 'flip', 'crop_flip', 'resized_crop')
"""'crop_flip' pads, crops at random and flips (He et al., 2015, CIFAR);
'resized_crop' takes a random area and aspect (Inception) and flips."""

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


def augment(
    images: np.ndarray, kind: str, padding: int, rng: np.random.Generator,
    min_covered: float = 0.0,
) -> np.ndarray:
  """Augments a batch.

  Args:
    images: uint8, shape (batch, side, side, 3).
    kind: one of `AUGMENTATIONS`.
    padding: pixels at each border that 'crop_flip' adds.
    rng: of this batch.
    min_covered: share of the image that 'resized_crop' takes at least.

  Returns:
    0..255, same shape: float32 for 'resized_crop', which interpolates, else
    uint8.
  """
  if kind == 'none':
    return images
  if kind == 'resized_crop':
    return _resized_crop(images, rng, min_covered)
  return _shift(images, padding if kind == 'crop_flip' else 0, rng)


def _shift(
    images: np.ndarray, padding: int, rng: np.random.Generator
) -> np.ndarray:
  """Crops at a random offset of the zero-padded images, flips half of them."""
  batch, side = images.shape[:2]
  rows = np.arange(side) + rng.integers(0, 2 * padding + 1, (batch, 1))
  columns = np.arange(side) + rng.integers(0, 2 * padding + 1, (batch, 1))
  flips = rng.random(batch) < 0.5
  columns[flips] = columns[flips, ::-1]
  border = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
  padded = np.pad(images, border)
  index = np.arange(batch)[:, None, None]
  return padded[index, rows[:, :, None], columns[:, None, :]]


def _resized_crop(
    images: np.ndarray, rng: np.random.Generator, min_covered: float
) -> np.ndarray:
  """Resizes random areas of the images to full size, flips half of them."""
  batch, side = images.shape[:2]
  size = _random_sizes(batch, side, rng, min_covered)
  # Every whole pixel at which the area fits is equally likely.
  top, left = np.floor(rng.random((2, batch)) * (side - size + 1))
  flips = rng.random(batch) < 0.5
  rows = _positions(top, size[0], side)
  columns = _positions(left, size[1], side)
  columns[flips] = columns[flips, ::-1]
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
