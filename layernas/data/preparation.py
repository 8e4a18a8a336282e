"""What is done to an image between its file and a batch, and to which part."""

import dataclasses
from typing import Any

from layernas.data.augmentation import CENTRAL_SHARE


@dataclasses.dataclass(frozen=True)
class Preparation:
  """What is done to an image; the fields of the config's data section.

  Attributes:
    size: side of the result, pixels.
    kind: one of `augmentation.AUGMENTATIONS`.
    padding: pixels at each border that 'crop_flip' adds.
    min_covered: share of the image that 'resized_crop' takes at least.
    fallback: one of `augmentation.FALLBACKS`.
    margin: evaluation after 'resized_crop' sees size / (size + margin) of the
      shorter side; 0 is `CENTRAL_SHARE` at every size.
    bits: that values of 16-bit files use; 0 is 8, 12 or 16, the fewest that
      hold all values of the file.
  """

  size: int
  kind: str
  padding: int = 0
  min_covered: float = 0.0
  fallback: str = 'whole'
  margin: int = 0
  bits: int = 0

  @property
  def central_share(self) -> float:
    """Share of the shorter side that evaluation sees."""
    if self.kind != 'resized_crop':
      return 1.0
    if self.margin:
      return self.size / (self.size + self.margin)
    return CENTRAL_SHARE


def configured_preparation(section: Any) -> Preparation:
  """The preparation of a config's data section."""
  return Preparation(
      section.image_size, section.augmentation, section.crop_padding,
      section.min_object_covered, section.crop_fallback,
      section.evaluation_margin, section.bits,
  )


PNG = b'\x89PNG\r\n\x1a\n'
"""How PNG files begin."""

PNG_DEPTH = 24
"""Where a PNG file says how many bits a value has."""


def unused_bits(largest: Any, bits: int, where: Any) -> Any:
  """Bits below the upper eight of those that 16-bit values use.

  Scanners and cameras leave the upper four unused: the upper eight, which
  decoders give, would make a black image of such a file.

  Args:
    largest: value of the file: a number or a tensor.
    bits: see `Preparation`.
    where: chooses by a condition between two values, as np.where.

  Returns:
    By how many bits values are to be shifted right.
  """
  if bits:
    return bits - 8
  return where(largest < 1 << 8, 0, where(largest < 1 << 12, 4, 8))
