"""Where every record of TFRecord files begins, found once and kept on disk.

TFRecord files have no index of their own: each record is its length (8 bytes),
a checksum of that (4), the data, and a checksum of them (4). The headers are
read once, data skipped, and the offsets kept beside the files, or in
~/.cache/layernas where those cannot be written: 10 MB for ImageNet. From then
on any record is one read of known place and length.

Local files are opened unbuffered, so that headers alone are read. Of files on
gs:// TensorFlow reads everything once: as long as one pass over the set.
"""

import concurrent.futures
import dataclasses
import hashlib
import io
import os
import pathlib
import uuid
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import tensorflow as tf
from absl import logging
from etils import epath

from layernas.errors import UserError

_THREADS = 32
_AROUND = 16
"""Bytes of a record that are not data."""


@dataclasses.dataclass(frozen=True)
class RecordIndex:
  """Places of all records of some files, in the order of the files.

  Attributes:
    files: number of each record's file, int64 (records,).
    offsets: of each record's first byte in its file, int64 (records,).
    lengths: bytes of each record, header and checksums included.
  """

  files: np.ndarray
  offsets: np.ndarray
  lengths: np.ndarray


def record_index(paths: Sequence[str], counts: Sequence[int]) -> RecordIndex:
  """Reads the index of some files, or makes and keeps it.

  Args:
    paths: of the files, at least one, all in one directory.
    counts: how many records each must have.

  Returns:
    The index.

  Raises:
    UserError: a file is missing or cut short, or has another number of records.
  """
  sizes = _in_threads(_size, paths)
  for place in _places(paths):
    ends = _load(place, sizes, counts)
    if ends is not None:
      return _from_ends(ends, counts)
  logging.info('Indexing the records of %d files, once.', len(paths))
  ends = np.concatenate(_in_threads(_scan, paths, counts, sizes))
  _keep(_places(paths), ends, sizes, counts)
  return _from_ends(ends, counts)


def _from_ends(ends: np.ndarray, counts: Sequence[int]) -> RecordIndex:
  """From the end of every record in its file."""
  offsets = np.roll(ends, 1)
  starts = np.cumsum([0, *counts])[:-1]
  offsets[starts[np.array(counts) > 0]] = 0
  files = np.repeat(np.arange(len(counts)), counts)
  return RecordIndex(files, offsets, ends - offsets)


def _scan(path: str, count: int, size: int) -> np.ndarray:
  """Ends of all records of a file, int64."""
  ends, end = [], 0
  with _open(path) as file:
    while end < size:
      file.seek(end)
      end += int.from_bytes(file.read(8), 'little') + _AROUND
      ends.append(end)
  if end != size or len(ends) != count:
    raise UserError(
        f'{path}: {len(ends)} records that end at byte {end} of {size}: allowed'
        f' are {count} whole records; copy or prepare the data set again'
    )
  return np.array(ends, np.int64)


def _open(path: str) -> BinaryIO:
  if '://' in path:
    return tf.io.gfile.GFile(path, 'rb')
  return pathlib.Path(path).open('rb', buffering=0)


def _size(path: str) -> int:
  try:
    return tf.io.gfile.stat(path).length
  except tf.errors.NotFoundError as error:
    raise UserError(
        f'{path}: no such file: allowed is a data set with all of its files;'
        ' copy or prepare it again'
    ) from error


def _in_threads(function: object, *arguments: Sequence) -> list:
  with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
    return list(threads.map(function, *arguments))


def _places(paths: Sequence[str]) -> list[epath.Path]:
  """Where an index may lie: beside the files, in the user's cache."""
  first = epath.Path(paths[0])
  cache = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  key = hashlib.sha256(os.fspath(first).encode()).hexdigest()[:16]
  name = first.name.rsplit('-of-', 1)[0].rsplit('-', 1)[0] + '.index.npz'
  cached = epath.Path(cache).expanduser() / 'layernas' / key / name
  return [first.parent / name, cached]


def _load(
    place: epath.Path, sizes: Sequence[int], counts: Sequence[int]
) -> np.ndarray | None:
  """The ends in a kept index, if it is of these very files."""
  try:
    with np.load(io.BytesIO(place.read_bytes())) as kept:
      fits = (
          np.array_equal(kept['sizes'], sizes)
          and np.array_equal(kept['counts'], counts)
      )
      return kept['ends'] if fits else None
  except (OSError, tf.errors.OpError, ValueError, KeyError, EOFError,
          zipfile.BadZipFile):
    return None


def _keep(
    places: Sequence[epath.Path], ends: np.ndarray, sizes: Sequence[int],
    counts: Sequence[int],
) -> None:
  """Writes the index to the first place that can be written."""
  data = io.BytesIO()
  np.savez(data, ends=ends, sizes=sizes, counts=counts)
  for place in places:
    part = place.with_name(f'.{place.name}.{uuid.uuid4().hex}')
    try:
      place.parent.mkdir(parents=True, exist_ok=True)
      part.write_bytes(data.getvalue())
      # Other hosts may read or write the same index meanwhile.
      part.replace(place)
    except (OSError, tf.errors.OpError):
      continue
    return
  logging.warning('The index of records cannot be kept in %s.', places)
