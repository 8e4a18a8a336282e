"""Preprocessing of images for a network, as in its evaluation."""

import dataclasses
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from layernas.data.augmentation import CENTRAL_SHARE
from layernas.data.dataset import MINUS_ONE_TO_ONE
from layernas.data.dataset import Scaling
from layernas.data.dataset import configured_scaling
from layernas.data.pillow_images import colours
from layernas.errors import UserError

# Of bytes.
_WHITE = 255.0

_FILTERS = {
    'bilinear': Image.Resampling.BILINEAR,
    'bicubic': Image.Resampling.BICUBIC,
}


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """Crop, resizing and scaling.

  Attributes:
    size: side of the network's images, pixels.
    crop: side of the central square that the network sees, as a share of the
      shorter side.
    filter: 'bilinear' or 'bicubic'; both are widened when they shrink an image.
    scaling: scaling of pixels.
  """

  size: int
  crop: float = 1.0
  filter: str = 'bicubic'
  scaling: Scaling = MINUS_ONE_TO_ONE

  def __call__(self, images: Any) -> np.ndarray:
    """Images as the network takes them.

    Args:
      images: an array (height, width, 3) or (n, height, width, 3), a Pillow
        image, or a sequence of them, of any sizes; bytes, or floating-point
        numbers from 0 to 1.

    Returns:
      float32, shape (n, size, size, 3), scaled.

    Raises:
      UserError: something is no such image.
    """
    return self.scaling(self.pixels(images)).astype(np.float32)

  def pixels(self, images: Any) -> np.ndarray:
    """The pixels before scaling, 0 to 255; whole numbers for bytes."""
    rows = [self._pixels(image) for image in _each(images)]
    if not rows:
      return np.zeros((0, self.size, self.size, 3), np.float32)
    return np.stack(rows)

  def to_dict(self) -> dict[str, Any]:
    """The preprocessing as JSON types; `from_dict` reads them."""
    return dataclasses.asdict(self)

  @classmethod
  def from_dict(cls, values: dict[str, Any]) -> 'Preprocessing':
    """Inverse of `to_dict`.

    Args:
      values: output of `to_dict`.

    Returns:
      The preprocessing.
    """
    scaling = {name: tuple(one) for name, one in values['scaling'].items()}
    return cls(**{**values, 'scaling': Scaling(**scaling)})

  def _pixels(self, image: np.ndarray) -> np.ndarray:
    """One image, cropped and resized; float32, 0 to 255."""
    height, width, _ = image.shape
    side = max(round(self.crop * min(height, width)), 1)
    top, left = (height - side) // 2, (width - side) // 2
    image = image[top:top + side, left:left + side]
    if side != self.size:
      image = self._resized(image)
    if image.dtype == np.uint8:
      return image.astype(np.float32)
    return image.astype(np.float32) * _WHITE

  def _resized(self, image: np.ndarray) -> np.ndarray:
    how = (self.size, self.size), _FILTERS[self.filter]
    if image.dtype == np.uint8:
      return np.asarray(Image.fromarray(image).resize(*how))
    channels = [
        np.asarray(Image.fromarray(channel).resize(*how))
        for channel in np.moveaxis(image.astype(np.float32), -1, 0)
    ]
    return np.clip(np.stack(channels, axis=-1), 0.0, 1.0)


def of_data(section: Any) -> Preprocessing:
  """The preprocessing in a config's evaluation.

  Args:
    section: section `data` of a config.

  Returns:
    The preprocessing.
  """
  size, crop = section.image_size, 1.0
  if section.augmentation == 'resized_crop' and section.source != 'embedded':
    margin = section.evaluation_margin
    crop = size / (size + margin) if margin else CENTRAL_SHARE
  # As the data sets resize.
  filters = 'bilinear' if section.source == 'embedded' else 'bicubic'
  return Preprocessing(size, crop, filters, configured_scaling(section))


def _each(images: Any) -> Iterable[np.ndarray]:
  """Single images of whatever was given."""
  if isinstance(images, Image.Image):
    images = [images]
  elif isinstance(images, np.ndarray) or hasattr(images, '__array__'):
    images = np.asarray(images)
    if images.ndim != 4:
      images = [images]
  elif isinstance(images, str) or not isinstance(images, Sequence):
    raise UserError(
        f'images: {type(images).__name__}: allowed are arrays, Pillow images,'
        ' and sequences of them'
    )
  return [_array(image) for image in images]


def _array(image: Any) -> np.ndarray:
  if isinstance(image, Image.Image):
    try:
      image = colours(image)
    except ValueError as error:
      raise UserError(
          f'images: a Pillow image: {error}; allowed are modes of 8 bits, such'
          ' as RGB'
      ) from error
  array = np.asarray(image)
  if array.ndim != 3 or array.shape[-1] != 3 or not array.size:
    raise UserError(
        f'images: an array of shape {array.shape}: allowed are (height, width,'
        ' 3), and (n, height, width, 3)'
    )
  if array.dtype == np.uint8:
    return array
  if not np.issubdtype(array.dtype, np.floating):
    raise UserError(
        f'images: {array.dtype} numbers: allowed are bytes (uint8), 0 to 255,'
        ' and floating-point numbers from 0 to 1'
    )
  if not (array >= 0).all() or not (array <= 1).all():
    raise UserError(
        f'images: floating-point numbers from {array.min():g} to'
        f' {array.max():g}: allowed are 0 to 1, or bytes (uint8)'
    )
  return array
