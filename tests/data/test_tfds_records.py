"""Single records of TFDS sets."""

import pathlib

import numpy as np
import pytest

from layernas.data import tfds_records
from layernas.data.tfds_records import record_index


@pytest.fixture(name='builder', params=['plain', 'array_record'])
def _builder(request, tfds_directory):
  import tensorflow_datasets as tfds

  return tfds.builder(f'tiny_images/{request.param}', data_dir=tfds_directory)


def stored(builder, split):
  """Encoded images and labels in the order of the files, as TFDS reads them."""
  import tensorflow_datasets as tfds

  decoders = {'image': tfds.decode.SkipDecoding()}
  if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
    records = builder.as_data_source(split, decoders=decoders)
  else:
    records = builder.as_dataset(
        split=split, decoders=decoders,
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    ).as_numpy_iterator()
  return [(record['image'], record['label']) for record in records]


KEYS = ('image', 'label')


def numbered(rows):
  """Rows in chunks of three."""
  import tensorflow as tf

  keys = np.repeat(np.int64(rows)[:, None], 3, axis=1)
  return tf.data.Dataset.from_tensor_slices((np.int64(rows), keys)).batch(3)


def test_any_record_is_that_of_tfds(builder):
  fetch = tfds_records.open_records(builder, 'train', KEYS)
  expected = stored(builder, 'train')
  rows = [0, 49, 17, 16, 33, 17, *range(50)]
  found = list(fetch(numbered(rows)).as_numpy_iterator())
  assert [record[:2] for record in found] == [expected[row] for row in rows]
  assert [key.tolist() for _, _, key in found] == [[row] * 3 for row in rows]
  assert found[0][1].dtype == np.int64


def test_records_on_gs_are_read_alike(tfds_directory):
  """By TensorFlow's own reader; its file system in memory stands in for gs."""
  import tensorflow as tf
  import tensorflow_datasets as tfds

  builder = tfds.builder('tiny_images/plain', data_dir=tfds_directory)
  info = builder.info.splits['train']
  index = record_index([str(path) for path in info.filepaths],
                       info.shard_lengths)
  copies = []
  for number, path in enumerate(info.filepaths):
    copies.append(f'ram://tfds_records/{number}')
    with tf.io.gfile.GFile(copies[-1], 'wb') as file:
      file.write(path.read_bytes())
  parse = tfds_records._parser(builder, KEYS)
  fetch = tfds_records.remote_records(copies, index, parse)
  rows = [0, 49, 17, 16, 33, 17, *range(50)]
  expected = stored(builder, 'train')
  found = list(fetch(numbered(rows)).as_numpy_iterator())
  assert [record[:2] for record in found] == [expected[row] for row in rows]
  assert [key.tolist() for _, _, key in found] == [[row] * 3 for row in rows]


@pytest.mark.parametrize('split', [
    'train', 'train[7:40]', 'train[:10%]', 'train[90%:]', 'train[20:22]', 'test'
])
def test_rows_of_a_slice_are_those_of_tfds(builder, split):
  name, rows = tfds_records.split_rows(builder, split)
  everything, expected = stored(builder, name), stored(builder, split)
  assert [everything[row] for row in rows] == expected
  assert rows.dtype == np.int64


def test_the_first_label_is_that_of_the_first_record(builder):
  assert tfds_records.first_label(builder, 'train', KEYS) == (
      stored(builder, 'train')[0][1]
  )


def test_one_index_is_kept_for_a_split(builder, tfds_directory):
  tfds_records.open_records(builder, 'train', KEYS)
  found = list(pathlib.Path(builder.data_path).glob('*train*.index.npz'))
  assert len(found) == (builder.builder_config.name == 'plain')
