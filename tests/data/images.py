"""Images, and files of kinds that Pillow does not write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def png16(values, orientation=1):
  """A PNG file of 16 bits a value; (height, width), perhaps with channels."""
  height, width = values.shape[:2]
  channels = values.shape[2] if values.ndim == 3 else 1
  colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
  rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in values)
  header = struct.pack('>IIBBBBB', width, height, 16, colour, 0, 0, 0)
  exif = Image.Exif()
  exif[0x0112] = orientation
  return b'\x89PNG\r\n\x1a\n' + b''.join(
      struct.pack('>I', len(data)) + name + data
      + struct.pack('>I', zlib.crc32(name + data))
      for name, data in (
          (b'IHDR', header),
          (b'eXIf', exif.tobytes().removeprefix(b'Exif\0\0')),
          (b'IDAT', zlib.compress(rows)), (b'IEND', b''),
      )
  )


def with_orientation(pixels, number, kind='jpeg'):
  """A file whose EXIF data say how its pixels are to be turned."""
  exif = Image.Exif()
  exif[0x0112] = number
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, kind, exif=exif, quality=100)
  return file.getvalue()


def smooth(height, width):
  """Pixels that compression hardly changes, no two directions of them alike."""
  y, x = np.mgrid[:height, :width]
  return np.stack(
      [5 * y + 2 * x, 3 * x + 20, 200 - 4 * y], axis=-1
  ).astype(np.uint8)


def noise(height, width):
  """Pixels without any pattern, none of them black."""
  rng = np.random.default_rng(0)
  return rng.integers(1, 256, (height, width, 3), dtype=np.uint8)


def png(pixels):
  """Bytes of a PNG file."""
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'png')
  return file.getvalue()


def jpeg(pixels, **options):
  """Bytes of a JPEG file."""
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'jpeg', **options)
  return file.getvalue()
