"""A directory of image files as a data set.

  DIRECTORY/train/CLASS/*.jpg
  DIRECTORY/test/CLASS/*.jpg

Instead of test/, val/ or validation/ will do. Names are sorted; those that
begin with a dot are passed over.

A camera that is held upright stores the image lying, and in the file's EXIF
data how it is to be turned. TensorFlow's decoders do not look there, so that
such files are turned as they are read for them.
"""

import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.data.dataset import held_out_mask
from layernas.data.image_files import PNG_END
from layernas.data.pillow_images import upright
from layernas.data.pillow_pipeline import PillowPipeline
from layernas.data.streamed_dataset import Pipeline
from layernas.data.streamed_dataset import StreamedDataset
from layernas.errors import UserError
from layernas.paths import expanded
from layernas.paths import readable

SUFFIXES = ('.jpg', '.jpeg', '.png')
"""Of image files, in small or capital letters."""

_FILES = ', '.join(f'*{suffix}' for suffix in SUFFIXES)

TEST_DIRECTORIES = ('test', 'val', 'validation')
"""The first that exists holds the test images."""

_WHOLE = 64 << 20
"""Bytes of an image folder, up to which its whole content is compared."""

_SAMPLE = 64
"""Images of a larger one whose content is compared."""

_LAYOUT = (
    'a directory with train/CLASS/ and test/CLASS/ (or val/ or validation/)'
    f' that hold {_FILES}'
)


def load(section: Any, decoder: str) -> StreamedDataset:
  """The data set of a directory.

  Args:
    section: the config's data section: `directory`, `validation_share`, and
      what `StreamedDataset` and its pipeline take from it.
    decoder: 'pillow', or 'tensorflow', which has been imported then.

  Returns:
    The data set; no image has been opened.

  Raises:
    UserError: names the file or directory that is wrong, and what is allowed.
  """
  if not section.directory:
    raise UserError(
        "data.directory: '': allowed is the directory of the images"
    )
  images = FolderImages(
      list_images(section.directory), section.validation_share
  )
  pipeline = _PIPELINES[decoder](images, section)
  return StreamedDataset(images, pipeline, section)


@dataclasses.dataclass(frozen=True)
class ImageFiles:
  """The image files of a directory.

  Attributes:
    directory: that was listed.
    class_names: sorted.
    paths: of 'all_train' and of 'test', by class, then by name.
    labels: index of each path's class in `class_names`.
  """

  directory: pathlib.Path
  class_names: tuple[str, ...]
  paths: Mapping[str, tuple[str, ...]]
  labels: Mapping[str, tuple[int, ...]]


def list_images(directory: str) -> ImageFiles:
  """Lists the images of a directory.

  Args:
    directory: laid out as above; see `layernas.paths`.

  Returns:
    The files; every class has two training images or more and a test image.

  Raises:
    UserError: names the file or directory that is wrong, and what is allowed.
  """
  root = pathlib.Path(expanded('data.directory', directory))
  roots = {'all_train': root / 'train', 'test': _test_directory(root)}
  classes = {split: _class_names(path) for split, path in roots.items()}
  if classes['test'] != classes['all_train']:
    raise UserError(
        f'{roots["test"]}: classes {list(classes["test"])}: allowed are those'
        f' of {roots["all_train"]}, {list(classes["all_train"])}'
    )
  paths, labels = {}, {}
  for split, fewest in (('all_train', 2), ('test', 1)):
    found = [
        (path, label)
        for label, name in enumerate(classes[split])
        for path in _class_images(roots[split] / name, fewest)
    ]
    paths[split], labels[split] = zip(*found, strict=True)
  return ImageFiles(root, classes['all_train'], paths, labels)


def _test_directory(root: pathlib.Path) -> pathlib.Path:
  found = [root / name for name in TEST_DIRECTORIES if (root / name).is_dir()]
  if not found or not (root / 'train').is_dir():
    state = 'no such directory'
    if root.is_dir():
      state = f'holds {sorted(path.name for path in root.iterdir())[:10]}'
    raise UserError(
        f'data.directory: {str(root)!r}: {state}; allowed is {_LAYOUT}'
    )
  return found[0]


def _class_names(directory: pathlib.Path) -> tuple[str, ...]:
  entries = _entries(directory)
  for entry in entries:
    if not entry.is_dir():
      raise UserError(f'{entry.path}: not a directory; allowed are directories'
                      ' of images here, one for each class')
  if len(entries) < 2:
    raise UserError(f'{directory}: has {len(entries)} classes; allowed are two'
                    ' or more, each a directory of images')
  return tuple(entry.name for entry in entries)


def _class_images(directory: pathlib.Path, fewest: int) -> list[str]:
  entries = _entries(directory)
  for entry in entries:
    if not entry.name.lower().endswith(SUFFIXES) or not entry.is_file():
      raise UserError(f'{entry.path}: not an image file; allowed are files'
                      f' named {_FILES}')
  if len(entries) < fewest:
    raise UserError(f'{directory}: images found: {len(entries)}; allowed is'
                    f' {fewest} or more')
  return [entry.path for entry in entries]


def _entries(directory: pathlib.Path) -> list[os.DirEntry]:
  """Sorted by name; their kind is known without a look at each file."""
  with os.scandir(directory) as entries:
    found = [entry for entry in entries if not entry.name.startswith('.')]
  for entry in found:
    if entry.name != readable(entry.name):
      raise UserError(f'{readable(entry.path)}: a name with bytes that are no'
                      ' UTF-8; allowed are names that are text')
  return sorted(found, key=lambda entry: entry.name)


class FolderImages:
  """Image files in splits; see `streamed_dataset.EncodedImages`.

  The last files of every class are held out, so that pictures taken in a row
  do not end up on both sides. To list them opens no file.
  """

  def __init__(self, files: ImageFiles, validation_share: float):
    """Reads nothing yet.

    Args:
      files: to read.
      validation_share: of the training images, held out.
    """
    self.name = str(files.directory)
    self.class_names = files.class_names
    self.num_classes = len(files.class_names)
    self._files = files
    labels = np.array(files.labels['all_train'])
    held_out = held_out_mask(labels, validation_share)
    self._rows = {
        'train': ('all_train', np.flatnonzero(~held_out)),
        'validation': ('all_train', np.flatnonzero(held_out)),
        'all_train': ('all_train', np.arange(len(labels))),
        'test': ('test', np.arange(len(files.labels['test']))),
    }

  def num_examples(self, split: str) -> int:
    """Number of images of a split."""
    return len(self._rows[split][1])

  def rows(self, split: str) -> np.ndarray:
    """Numbers of a split's files as `fetch` takes them."""
    return self._rows[split][1]

  def read(self, split: str, row: int) -> tuple[bytes, int]:
    """Bytes of a file and its label."""
    group = self._rows[split][0]
    data = pathlib.Path(self._files.paths[group][row]).read_bytes()
    return data, self._files.labels[group][row]

  def describe(self, split: str, row: int) -> str:
    """Path of an image."""
    return self._files.paths[self._rows[split][0]][row]

  def content(self) -> dict[str, Any]:
    """The list of files with sizes and classes, wherever the directory lies.

    Of a small set all bytes count, of a large one those of some files.
    """
    try:
      found = self._digest()
    except OSError as error:
      raise UserError(
          f'{error.filename}: {error.strerror}; allowed are files that can be'
          ' read'
      ) from error
    return {'name': 'image folder', 'sha256': found}

  def _digest(self) -> str:
    found, paths, whole = hashlib.sha256(), [], 0
    for split, files in self._files.paths.items():
      for path, label in zip(files, self._files.labels[split], strict=True):
        size = os.stat(path).st_size
        name = os.path.relpath(path, self._files.directory)
        found.update(f'{split} {label} {size} {name}\n'.encode())
        paths.append(path)
        whole += size
    every = 1 if whole <= _WHOLE else len(paths) // _SAMPLE + 1
    for path in paths[::every]:
      found.update(pathlib.Path(path).read_bytes())
    return found.hexdigest()

  def suspects(self, split: str) -> np.ndarray:
    """The first files, to `_DECODED_BYTES`, and others without a proper end.

    Decoding ImageNet takes an hour; most files that are damaged are cut off.
    """
    group, rows = self._rows[split]
    paths, decoded, found = self._files.paths[group], 0, []
    for row in rows[:_LOOKED_AT]:
      whole = decoded < _DECODED_BYTES
      size = _size(paths[row]) if whole else 0
      if whole or not _has_end(paths[row]):
        found.append(row)
      decoded += size
    return np.array(found, np.int64)


_DECODED_BYTES = 256 << 20
"""Of the files of a split that are decoded whole before a training: at about 25
MB a second of one core, ten seconds."""

_LOOKED_AT = 200_000
"""Files of a split whose ends are looked at: on a disk some ten seconds."""

_END_BYTES = 256
"""Some programs add a few bytes to a file."""


def _size(path: str) -> int:
  try:
    return os.stat(path).st_size
  except OSError:  # Gone since it was listed: reading it will say so.
    return 0


def _has_end(path: str) -> bool:
  """Whether a file ends as JPEG and PNG files do; without reading it all."""
  try:
    with open(path, 'rb', buffering=0) as file:
      size = file.seek(0, os.SEEK_END)
      file.seek(max(0, size - _END_BYTES))
      end = file.read()
  except OSError:
    return False
  return b'\xff\xd9' in end or PNG_END in end


def _pillow(images: FolderImages, section: Any) -> Pipeline:
  return PillowPipeline(images.read, section)


def _tensorflow(images: FolderImages, section: Any) -> Pipeline:
  # Imports TensorFlow, which may not be installed.
  from layernas.data import tensor_pipeline  # noqa: PLC0415

  def read(split: str, rows: np.ndarray) -> tuple[list[bytes], list[int]]:
    found = [images.read(split, row) for row in rows]
    return (
        [upright(data, section.bits) for data, _ in found],
        [label for _, label in found],
    )

  def fetch(split: str) -> Callable:
    return functools.partial(
        tensor_pipeline.read_locally, read=functools.partial(read, split)
    )

  return tensor_pipeline.TensorPipeline(fetch, section)


_PIPELINES: Mapping[str, Callable[[FolderImages, Any], Pipeline]] = {
    'pillow': _pillow, 'tensorflow': _tensorflow,
}
"""By the decoder."""
