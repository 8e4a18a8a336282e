"""One image at a time in Pillow and NumPy: decoding, resizing, augmentation.

What `tensor_images` does, drawn from the same distributions; pixels differ in
how they are resampled (docs/data.md).
"""

import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from layernas.data import augmentation
from layernas.data.dataset import random_stream
from layernas.data.image_files import FORMATS
from layernas.data.image_files import check_png
from layernas.data.image_files import fault
from layernas.data.image_files import is_deep
from layernas.data.image_files import orientation
from layernas.data.preparation import PNG
from layernas.data.preparation import Preparation
from layernas.data.preparation import unused_bits

Window = tuple[int, int, int, int]
"""Top, left, height and width of a part of an image, pixels."""

Choose = Callable[[int, int], Window]
"""From an image's height and width to a part of it."""

_SPARE = 2
"""How much larger than the result a JPEG file is decoded at least, where it is
decoded at a half, a quarter or an eighth of its size."""

_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, False, (False, True)),
    3: (Image.Transpose.ROTATE_180, False, (True, True)),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, False, (True, False)),
    5: (Image.Transpose.TRANSPOSE, True, (False, False)),
    6: (Image.Transpose.ROTATE_270, True, (True, False)),
    7: (Image.Transpose.TRANSVERSE, True, (True, True)),
    8: (Image.Transpose.ROTATE_90, True, (False, True)),
}
"""By orientation: what sets the stored image upright, whether its rows are the
columns of the upright one, and which of its rows and columns run backwards."""


class DamagedError(Exception):
  """A file is damaged, or no image; the message says why."""


def augment(
    encoded: bytes, preparation: Preparation, key: np.ndarray
) -> np.ndarray:
  """Augments one image; as `augmentation.Augmentation`, from its full size.

  Args:
    encoded: bytes of a JPEG or PNG file.
    preparation: what to do.
    key: random integers, int64 (3,); the result depends on nothing else.

  Returns:
    uint8, shape (size, size, 3).

  Raises:
    DamagedError: the file is damaged, or no image.
  """
  rng, flipped = random_stream(*map(int, key[:2])), key[2] % 2 == 1
  size, kind, padding = preparation.size, preparation.kind, preparation.padding
  choose = central_window(1.0)
  if kind == 'resized_crop':
    choose = random_window(rng, preparation)
  image = _decode(encoded, choose, size, preparation.bits)
  if kind == 'crop_flip':
    image = np.pad(image, [(padding, padding), (padding, padding), (0, 0)])
    top, left = rng.integers(0, 2 * padding + 1, 2)
    image = image[top:top + size, left:left + size]
  return image[:, ::-1] if flipped and kind != 'none' else image


def central(encoded: bytes, preparation: Preparation) -> np.ndarray:
  """The square at the centre of an image, as evaluation sees it.

  Args:
    encoded: bytes of a JPEG or PNG file.
    preparation: its augmentation is that of training.

  Returns:
    uint8, shape (size, size, 3).

  Raises:
    DamagedError: the file is damaged, or no image.
  """
  choose = central_window(preparation.central_share)
  return _decode(encoded, choose, preparation.size, preparation.bits)


def check(encoded: bytes) -> None:
  """Decodes a file to its end.

  Args:
    encoded: its bytes.

  Raises:
    DamagedError: the file is damaged, or no image.
  """
  reason = fault(encoded)
  if reason:
    raise DamagedError(reason)


def whole(encoded: bytes, bits: int = 0) -> Image.Image:
  """The whole image of a file, upright, in red, green and blue.

  Args:
    encoded: bytes of a file of any format that Pillow knows.
    bits: see `Preparation`.

  Returns:
    The image, with 8 bits a value.

  Raises:
    Exception: whatever Pillow raises; the file is damaged, or no image.
    ValueError: see `colours`.
  """
  image = Image.open(io.BytesIO(encoded))
  turn = _TURNS.get(orientation(image))
  found = _deep(encoded, bits) if is_deep(encoded) else colours(image)
  return found.transpose(turn[0]) if turn else found


def upright(encoded: bytes, bits: int = 0) -> bytes:
  """A file whose image stands as its EXIF data say.

  Args:
    encoded: bytes of an image file.
    bits: see `Preparation`.

  Returns:
    The same bytes where there is nothing to turn, or no image to be read; else
    those of a BMP file, which is not compressed again.
  """
  if b'Exif\0\0' not in encoded and b'eXIf' not in encoded:
    return encoded
  try:
    with Image.open(io.BytesIO(encoded)) as image:
      if orientation(image) == 1:
        return encoded
    file = io.BytesIO()
    whole(encoded, bits).save(file, 'bmp')
    return file.getvalue()
  except Exception:  # Of a damaged file, whose decoder says what is wrong.
    return encoded


def central_window(share: float) -> Choose:
  """The square at the centre.

  Args:
    share: its side, of the shorter side of the image.

  Returns:
    What chooses it.
  """

  def choose(height: int, width: int) -> Window:
    side = max(round(share * min(height, width)), 1)
    return (height - side) // 2, (width - side) // 2, side, side

  return choose


def random_window(rng: np.random.Generator, preparation: Preparation) -> Choose:
  """A random area; where ten trials fit none, the config's fallback.

  Args:
    rng: of this image.
    preparation: its `min_covered` and `fallback`.

  Returns:
    What chooses the area.
  """

  def choose(height: int, width: int) -> Window:
    covered = preparation.min_covered * height * width
    for _ in range(augmentation.TRIES):
      size = _random_size(rng, height, width)
      if size and size[0] * size[1] >= covered:
        # As TensorFlow's operation, which leaves the last place out.
        top, left = (
            rng.integers(max(whole - part, 1)) for whole, part in
            zip((height, width), size, strict=True)
        )
        return int(top), int(left), *size
    if preparation.fallback == 'whole':
      return 0, 0, height, width
    return central_window(preparation.central_share)(height, width)

  return choose


def _random_size(
    rng: np.random.Generator, height: int, width: int
) -> tuple[int, int] | None:
  """Height and width of a random area, or None where those drawn do not fit.

  The distribution is that of TensorFlow's sample_distorted_bounding_box: the
  aspect is uniform, and so is the height among those that the range of areas
  and the image allow with it. torchvision and `augmentation`, whose images are
  squares, draw the area and the logarithm of the aspect uniformly.
  """
  aspect = rng.uniform(*augmentation.ASPECT)
  low, high = (share * height * width for share in augmentation.AREA)
  smallest, largest = (round(math.sqrt(area / aspect)) for area in (low, high))
  largest = min(largest, height, math.ceil((width + 0.5) / aspect) - 1)
  tall = rng.integers(min(smallest, largest), largest + 1)
  wide = round(tall * aspect)
  # Rounding may have left the range by a row.
  if tall * wide < low:
    tall += 1
  elif tall * wide > high:
    tall -= 1
  wide = round(tall * aspect)
  fits = low <= tall * wide <= high and tall <= height and wide <= width
  return (int(tall), wide) if fits and tall > 0 and wide > 0 else None


def _decode(
    encoded: bytes, choose: Choose, size: int, bits: int
) -> np.ndarray:
  """A part of a file's image, resized to a square: uint8 (size, size, 3)."""
  try:
    with Image.open(io.BytesIO(encoded)) as image:
      if image.format not in FORMATS:
        raise DamagedError(fault(encoded))
      return _resized_part(image, encoded, choose, size, bits)
  except Exception as error:  # Its decoders raise whatever they like.
    raise DamagedError(fault(encoded) or str(error)) from error


def _resized_part(
    image: Image.Image, encoded: bytes, choose: Choose, size: int, bits: int
) -> np.ndarray:
  turn = _TURNS.get(orientation(image))
  width, height = image.size
  top, left, tall, wide = _stored_window(turn, height, width, choose)
  if encoded.startswith(PNG):
    check_png(encoded)
  scale = 1
  spared = min(tall, wide) // (_SPARE * size)
  if spared > 1:
    drafted = image.draft(None, (width // spared, height // spared))
    if drafted:  # Of JPEG files alone.
      scale = round(width / drafted[1][2])
  found = _deep(encoded, bits) if is_deep(encoded) else colours(image)
  square = _square(found, [left, top, left + wide, top + tall], scale, size)
  return np.asarray(square.transpose(turn[0]) if turn else square)


def _square(
    image: Image.Image, box: list[int], scale: int, size: int
) -> Image.Image:
  """A part of an image that is smaller than its file's, resized.

  Args:
    image: red, green and blue.
    box: left, top, right and bottom in the file's image, pixels.
    scale: how much larger that is.
    size: side of the result, pixels.

  Returns:
    The part as a square.
  """
  left, top, right, bottom = (side / scale for side in box)
  # Pillow's filter would see what lies around the part.
  x, y = math.floor(left), math.floor(top)
  part = image.crop((x, y, math.ceil(right), math.ceil(bottom)))
  return part.resize(
      (size, size), Image.Resampling.BICUBIC,
      (left - x, top - y, right - x, bottom - y),
  )


def _stored_window(
    turn: tuple | None, height: int, width: int, choose: Choose
) -> Window:
  """A part chosen of the upright image, where it is in the stored one."""
  if not turn:
    return choose(height, width)
  _, exchanged, backwards = turn
  if exchanged:
    left, top, wide, tall = choose(width, height)
  else:
    top, left, tall, wide = choose(height, width)
  if backwards[0]:
    top = height - top - tall
  if backwards[1]:
    left = width - left - wide
  return top, left, tall, wide


def colours(image: Image.Image) -> Image.Image:
  """An image in red, green and blue; transparency is dropped.

  Args:
    image: of any mode with 8 bits a value.

  Returns:
    The image in mode RGB.

  Raises:
    ValueError: the mode has more bits; Pillow would cut off what is above 255.
  """
  if image.mode.startswith(('I', 'F')):
    raise ValueError(f'mode {image.mode} has more than 8 bits a value')
  if image.mode == 'RGB':
    image.load()
    return image
  # Else some conversions blend, and others warn.
  image.info.pop('transparency', None)
  return image.convert('RGB')


def _deep(encoded: bytes, bits: int) -> Image.Image:
  """Decodes a PNG file of 16 bits a value to 8; see `unused_bits`."""
  values = _values(encoded)
  levels = values >> unused_bits(int(values.max()), bits, _chosen)
  levels = np.minimum(levels, 255).astype(np.uint8)
  return Image.fromarray(levels).convert('RGB')


def _chosen(condition: bool, one: int, other: int) -> int:
  return one if condition else other


def _values(encoded: bytes) -> np.ndarray:
  """Values of a PNG file of 16 bits: uint16, grey or (height, width, 3).

  Pillow gives all bits of grey alone, else the upper eight. Decoded with its
  bytes exchanged, a file of colours gives the lower eight. One of grey with
  alpha, whose pixels are four bytes, is read as if they were four channels.
  """
  raw, image = _read_as(encoded)
  if raw == 'I;16B':
    return image
  if raw == 'LA;16B':
    _, image = _read_as(encoded, 'RGBA')
    high, low = image[..., 0], image[..., 1]
  else:
    _, low = _read_as(encoded, raw.replace(';16B', ';16L'))
    high, low = image[..., :3], low[..., :3]
  return high.astype(np.uint16) << 8 | low


def _read_as(encoded: bytes, raw: str = '') -> tuple[str, np.ndarray]:
  """Pixels of a PNG file and Pillow's name for how it stores them.

  Args:
    encoded: bytes of the file.
    raw: another such name, by which the pixels are read.

  Returns:
    The name, the file's own where none was given, and the pixels.
  """
  with Image.open(io.BytesIO(encoded), formats=('PNG',)) as image:
    codec, extents, offset, own = image.tile[0]
    image.tile = [(codec, extents, offset, raw or own)]
    return raw or own, np.asarray(image)
