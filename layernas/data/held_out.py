"""Which training images are held out as the split 'validation'."""

import numpy as np


def held_out_count(examples: int, share: float) -> int:
  """Number of images to hold out of two or more.

  Args:
    examples: number of images.
    share: wanted, 0 < share < 1.

  Returns:
    The rounded share, but at least one image, and one is left.
  """
  return min(max(round(share * examples), 1), examples - 1)


def held_out_mask(labels: np.ndarray, share: float) -> np.ndarray:
  """Marks the last images of every class, so that all classes are held out.

  Args:
    labels: shape (n,), each class at least twice.
    share: of every class, see `held_out_count`.

  Returns:
    bool, shape (n,), True for the images that are held out.
  """
  mask = np.zeros(len(labels), bool)
  for label in np.unique(labels):
    rows = np.flatnonzero(labels == label)
    mask[rows[-held_out_count(len(rows), share):]] = True
  return mask
