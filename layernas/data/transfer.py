"""In which type pixels go from the host to the accelerator.

float32 is exact and takes the most bytes, bfloat16 half of them with 8 bits of
precision; both are scaled to -1..1 here. uint8, 0..255, takes a quarter: the
accelerator scales it, which costs it next to nothing and the host a pass over
the pixels less. Interpolated pixels are rounded to whole levels.
"""

from typing import Any

import ml_dtypes
import numpy as np

TRANSFERS = {
    'float32': np.dtype(np.float32),
    'bfloat16': np.dtype(ml_dtypes.bfloat16),
    'uint8': np.dtype(np.uint8),
}
"""Allowed values of the field `transfer`, and the type of the images."""


def scale(pixels: Any) -> Any:
  """0..255 to -1..1, as the MobileNet reference code scales images.

  Args:
    pixels: floating-point numbers: an array or a tensor of any framework.

  Returns:
    The same kind and shape.
  """
  return pixels / 127.5 - 1.0


def to_transfer(pixels: np.ndarray, transfer: str) -> np.ndarray:
  """Pixels in the type in which they leave the host.

  Args:
    pixels: uint8 or float32, 0..255, any shape.
    transfer: one of `TRANSFERS`.

  Returns:
    The same shape.
  """
  if transfer == 'uint8':
    if pixels.dtype == np.uint8:
      return pixels
    return np.rint(pixels).astype(np.uint8)
  scaled = scale(pixels.astype(np.float32))
  return scaled.astype(TRANSFERS[transfer], copy=False)
