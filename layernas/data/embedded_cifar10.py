"""10,000 training and 2,000 test images of CIFAR-10, inside the package.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; where
the files come from is in embedded/README.md.
"""

import functools
import hashlib
import io
import pathlib
import tarfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from layernas import activity
from layernas.data.array_dataset import ArrayDataset
from layernas.data.dataset import Dataset
from layernas.errors import UserError

NAME = 'cifar10_subset'

ARCHIVE = pathlib.Path(__file__).parent / 'embedded' / 'cifar10_subset.tar.gz'

SHA256 = '99fbcbd6f4bd37ce96c87617aa174a70bef6f9aa50a13dd1212362124549b737'
"""Of the archive."""

CLASSES = (
    'airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse',
    'ship', 'truck',
)

NATIVE_SIZE = 32
"""Side of the images in pixels."""


class _Embedded(ArrayDataset):
  """Images whose archive has been checked."""

  def content(self) -> dict[str, Any]:
    """See the base class."""
    return {**Dataset.content(self), 'sha256': SHA256}


def load(section: Any) -> ArrayDataset:
  """Reads the embedded images.

  Args:
    section: the config's data section; other image sizes than 32 are resampled.

  Returns:
    The data set.

  Raises:
    UserError: the config names another set, or the archive is missing or
      damaged.
  """
  if section.name != NAME:
    raise UserError(
        f'data.name: {section.name!r}: allowed is one of {[NAME]}'
    )
  files: dict[str, list[bytes]] = {'train': [], 'test': []}
  labels: dict[str, list[int]] = {'train': [], 'test': []}
  with tarfile.open(fileobj=io.BytesIO(_read_archive())) as archive:
    for member in archive:
      split, label, _ = member.name.split('/')
      files[split].append(archive.extractfile(member).read())
      labels[split].append(CLASSES.index(label))
  splits = {
      name: (
          functools.partial(_decode_all, files[split], section.image_size),
          np.array(labels[split], np.int32),
      ) for name, split in (('all_train', 'train'), ('test', 'test'))
  }
  return _Embedded(NAME, splits, len(CLASSES), section, CLASSES)


def _read_archive() -> bytes:
  data = ARCHIVE.read_bytes() if ARCHIVE.exists() else b''
  found = hashlib.sha256(data).hexdigest()
  if found != SHA256:
    raise UserError(
        f'{ARCHIVE}: missing or damaged (SHA-256 {found}): allowed is {SHA256};'
        ' install the package again'
    )
  return data


def _decode_all(files: Sequence[bytes], size: int) -> np.ndarray:
  with activity.doing(f'decoding {len(files):,} images'):
    return np.stack([_decode(data, size) for data in files])


def _decode(data: bytes, size: int) -> np.ndarray:
  image = Image.open(io.BytesIO(data)).convert('RGB')
  if size != NATIVE_SIZE:
    # Its filter widens as images shrink, so every pixel counts.
    image = image.resize((size, size), Image.Resampling.BILINEAR)
  return np.asarray(image)
