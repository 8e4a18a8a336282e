"""Single records of prepared TFDS sets, by their number in a split.

Both file formats of TFDS are read at random:

- tfrecord, TFDS's default and what ImageNet is usually stored as, through an
  index of record offsets; local files by Python, those on gs:// by TensorFlow's
  C++, one ranged request for each record.
- array_record, which has its index inside, through TFDS's own data source. It
  reads local files only.

TFRecord files have no index of their own: each record is its length (8 bytes),
a checksum of that (4), the data, and a checksum of them (4). The headers are
read once, and the offsets kept beside the files, or in ~/.cache/layernas where
those cannot be written: 10 MB for ImageNet. Local files are opened unbuffered
for that, so that headers alone are read; of files on gs:// TensorFlow reads
everything once, which takes as long as one pass over the set.

The common alternative, reading files in sequence through a shuffle buffer,
mixes only as many images as the buffer holds and must reread an epoch to resume
in its middle. Records at random cost more requests on gs://; `_REMOTE_READS` of
them are under way at a time, and a local copy is faster still.
"""

import concurrent.futures
import dataclasses
import hashlib
import io
import os
import pathlib
import uuid
import zipfile
from collections.abc import Callable
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from etils import epath

from layernas.data.tensor_pipeline import Fetch
from layernas.data.tensor_pipeline import read_locally
from layernas.data.tensor_pipeline import read_part
from layernas.errors import UserError

_REMOTE_READS = 128
"""Requests to gs:// under way at a time: at 30 to 60 ms each some 3,000 images
a second. An estimate; we had no bucket to test it."""


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


def split_rows(
    builder: tfds.core.DatasetBuilder, split: str
) -> tuple[str, np.ndarray]:
  """Which records a split has.

  Args:
    builder: of a prepared set.
    split: name of a split, or a slice of one as train[:90%].

  Returns:
    The name without slice, and numbers of records in the order of its files.
  """
  name = split.partition('[')[0]
  info = builder.info.splits[name]
  starts = dict(zip(
      map(str, info.filepaths), np.cumsum([0, *info.shard_lengths]),
      strict=False,
  ))
  parts = [
      starts[str(part.filename)] + np.arange(part.skip, part.skip + part.take)
      for part in builder.info.splits[split].file_instructions
  ]
  return name, np.concatenate([np.zeros(0, np.int64), *parts])


def open_records(
    builder: tfds.core.DatasetBuilder, split: str, keys: tuple[str, str]
) -> Fetch:
  """A function that fetches any records of a split.

  Args:
    builder: of a prepared set, in tfrecord or array_record files.
    split: name of a split.
    keys: names of the image and the label feature.

  Returns:
    The function; its rows are numbers of records.

  Raises:
    UserError: files are missing or damaged.
  """
  if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
    return _array_records(builder, split, keys)
  info = builder.info.splits[split]
  paths = [str(path) for path in info.filepaths]
  index = record_index(paths, info.shard_lengths)
  parse = _parser(builder, keys)
  if '://' in paths[0]:
    return remote_records(paths, index, parse)
  return local_records(paths, index, parse)


def first_label(
    builder: tfds.core.DatasetBuilder, split: str, keys: tuple[str, str]
) -> int:
  """Label of a split's first image, found without an index."""
  if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
    return int(builder.as_data_source(split)[0][keys[1]])
  files = builder.info.splits[split].filepaths
  for record in tf.data.TFRecordDataset([str(file) for file in files]):
    return int(_parser(builder, keys)(record)[1])
  return -1


Parse = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From a serialised record to its encoded image and its label."""


def local_records(
    paths: list[str], index: RecordIndex, parse: Parse
) -> Fetch:
  """Fetches from local TFRecord files.

  Args:
    paths: of the files.
    index: of their records.
    parse: of a record.

  Returns:
    The function.
  """
  around, after = 12, 4  # Bytes of length and checksums.

  def read(rows: np.ndarray) -> tuple[list[bytes], np.ndarray]:
    records = []
    for row in rows:
      path, length = paths[index.files[row]], int(index.lengths[row])
      record = read_part(path, int(index.offsets[row]), length)
      data = record[around:-after]
      if len(data) != int.from_bytes(record[:8], 'little'):
        raise tf.errors.DataLossError(None, None, f'{path} has changed')
      records.append(data)
    return records, np.zeros(len(rows), np.int64)

  def fetch(numbered: tf.data.Dataset) -> tf.data.Dataset:
    return read_locally(numbered, read).map(
        lambda record, _, key: (*parse(record), key)
    )

  return fetch


def remote_records(
    paths: list[str], index: RecordIndex, parse: Parse
) -> Fetch:
  """Fetches from TFRecord files of any file system of TensorFlow.

  Args:
    paths: of the files.
    index: of their records.
    parse: of a record.

  Returns:
    The function.
  """
  files, offsets, lengths = map(
      tf.constant, (index.files, index.offsets, index.lengths)
  )

  def read(row: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, ...]:
    records = tf.data.experimental.from_variant(
        tf.raw_ops.TFRecordDatasetV2(
            filenames=tf.gather(paths, files[row]),
            compression_type='',
            # The whole record, and nothing but it, in one read.
            buffer_size=lengths[row],
            byte_offsets=offsets[row],
        ),
        tf.TensorSpec((), tf.string),
    )
    return *parse(records.take(1).get_single_element()), key

  def fetch(numbered: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # Threads that wait for the network are not to keep others from decoding.
    threads = _REMOTE_READS + (os.cpu_count() or 1)
    options.threading.private_threadpool_size = threads
    return numbered.unbatch().map(read, _REMOTE_READS).with_options(options)

  return fetch


def _parser(
    builder: tfds.core.DatasetBuilder, keys: tuple[str, str]
) -> Parse:
  image, label = keys
  features = tfds.decode.PartialDecoding(
      {image: True, label: True}
  ).extract_features(builder.info.features)

  def parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    example = features.deserialize_example(
        record, decoders={image: tfds.decode.SkipDecoding()}
    )
    return example[image], tf.cast(example[label], tf.int64)

  return parse


def _array_records(
    builder: tfds.core.DatasetBuilder, split: str, keys: tuple[str, str]
) -> Fetch:
  image, label = keys
  records = builder.as_data_source(
      split, decoders={image: tfds.decode.SkipDecoding()}
  )

  def read(rows: np.ndarray) -> tuple[list[bytes], list[int]]:
    found = [records[int(row)] for row in rows]
    return [record[image] for record in found], [
        record[label] for record in found
    ]

  return lambda numbered: read_locally(numbered, read)


_THREADS = 32
_AROUND = 16
"""Bytes of a record that are not data."""


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
  # zipfile raises RuntimeError, too.
  except (OSError, tf.errors.OpError, ValueError, KeyError, EOFError,
          RuntimeError, zipfile.BadZipFile):
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
