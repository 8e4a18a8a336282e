"""Image files as Pillow opens them, and what is wrong with those it does not.

Both decoders take the same files. Where one cannot be decoded, Pillow says why,
for it says more than TensorFlow does.
"""

import io

from PIL import ExifTags
from PIL import Image

from layernas.data.preparation import PNG
from layernas.data.preparation import PNG_DEPTH

FORMATS = ('JPEG', 'MPO', 'PNG', 'GIF', 'BMP', 'WEBP')
"""Those that TensorFlow decodes, by Pillow's names."""

PNG_END = b'IEND\xaeB`\x82'
"""The last bytes of a PNG file, but for what some programs add."""

_BEGINNINGS = {b'\xff\xd8\xff': 'JPEG', PNG: 'PNG'}


def fault(encoded: bytes) -> str:
  """What is wrong with a file.

  Args:
    encoded: its bytes.

  Returns:
    What Pillow finds, in some words; '' for nothing.
  """
  if not encoded:
    return 'it is empty'
  try:
    with Image.open(io.BytesIO(encoded)) as image:
      if image.format not in FORMATS:
        return f'it is a {image.format} file'
      image.load()
    if encoded.startswith(PNG):
      check_png(encoded)
  except Image.UnidentifiedImageError:
    for beginning, kind in _BEGINNINGS.items():
      if encoded.startswith(beginning):
        return f'the head of a {kind} file, and no image after it'
    return 'it is of no known format'
  except Exception as error:  # Its decoders raise whatever they like.
    return str(error) or type(error).__name__
  return ''


def check_png(encoded: bytes) -> None:
  """Compares the checksums of a PNG file, which Pillow passes over.

  Args:
    encoded: bytes of the file.

  Raises:
    Exception: OSError, or one of Pillow's; the file is cut off or damaged.
  """
  with Image.open(io.BytesIO(encoded), formats=('PNG',)) as image:
    image.verify()
  if PNG_END not in encoded:
    raise OSError('truncated PNG file')


def is_deep(encoded: bytes) -> bool:
  """Whether these are bytes of a PNG file of 16 bits a value."""
  return (
      encoded.startswith(PNG)
      and encoded[PNG_DEPTH:PNG_DEPTH + 1] == b'\x10'
  )


def orientation(image: Image.Image) -> int:
  """How an image is to be turned, as its EXIF data say: 2 to 8; 1 for not."""
  try:
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
  except Exception:  # Data that cannot be read say nothing.
    return 1
  return found if found in range(2, 9) else 1
