"""Single records of prepared TFDS sets, by their number in a split.

Both file formats of TFDS are read at random:

- tfrecord, TFDS's default and what ImageNet is usually stored as, through an
  index of record offsets (`record_index`); local files by Python, those on gs://
  by TensorFlow's C++, one ranged request for each record.
- array_record, which has its index inside, through TFDS's own data source. It
  reads local files only.

The common alternative, reading files in sequence through a shuffle buffer,
mixes only as many images as the buffer holds and must reread an epoch to resume
in its middle. Records at random cost more requests on gs://; `_REMOTE_READS` of
them are under way at a time, and a local copy is faster still.
"""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from layernas.data.local_reads import read_locally
from layernas.data.local_reads import read_part
from layernas.data.record_index import RecordIndex
from layernas.data.record_index import record_index
from layernas.data.streamed_dataset import Fetch

_REMOTE_READS = 128
"""Requests to gs:// under way at a time: at 30 to 60 ms each some 3,000 images
a second. An estimate; we had no bucket to test it."""


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
