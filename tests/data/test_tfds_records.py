"""Single records of TFDS sets, and the index of TFRecord files."""

import os

import numpy as np
import pytest
import tensorflow as tf
from etils import epath

from layernas.data import tfds_records
from layernas.data.tfds_records import record_index
from layernas.errors import UserError


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


COUNTS = (3, 0, 5, 1)


@pytest.fixture(name='cache')
def _cache(tmp_path, monkeypatch):
  cache = tmp_path / 'cache'
  monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
  return cache


@pytest.fixture(name='paths')
def _paths(tmp_path, cache):
  """Files of several records of 0 to 300,000 bytes."""
  del cache
  rng = np.random.default_rng(0)
  directory = tmp_path / 'set'
  directory.mkdir()
  paths = []
  for number, count in enumerate(COUNTS):
    path = directory / f'some-train.tfrecord-{number:05d}-of-00004'
    with tf.io.TFRecordWriter(str(path)) as writer:
      for record in range(count):
        writer.write(rng.bytes((0, 17, 300_000)[record % 3]))
    paths.append(str(path))
  return paths


def read(paths, index):
  """Data of every record, by its place."""
  for file, offset, length in zip(
      index.files, index.offsets, index.lengths, strict=True
  ):
    with open(paths[file], 'rb') as records:
      records.seek(offset)
      yield records.read(length)[12:-4]


def kept_beside(paths):
  return os.path.join(
      os.path.dirname(paths[0]), 'some-train.tfrecord.index.npz'
  )


def test_places_are_those_of_the_records(paths):
  index = record_index(paths, COUNTS)
  expected = list(tf.data.TFRecordDataset(paths).as_numpy_iterator())
  assert list(read(paths, index)) == expected
  assert np.bincount(index.files).tolist() == list(COUNTS)


def test_a_kept_index_is_read_again(paths, monkeypatch):
  first = record_index(paths, COUNTS)
  kept = kept_beside(paths)
  assert os.path.exists(kept)
  monkeypatch.setattr(tfds_records, '_scan', None)
  again = record_index(paths, COUNTS)
  np.testing.assert_array_equal(again.offsets, first.offsets)
  np.testing.assert_array_equal(again.lengths, first.lengths)


def test_beside_files_that_cannot_be_written_the_cache_is_used(
    paths, cache, monkeypatch
):
  beside, cached = tfds_records._places(paths)
  assert beside.parent == epath.Path(paths[0]).parent
  below_a_file = epath.Path(paths[0]) / 'index.npz'
  monkeypatch.setattr(
      tfds_records, '_places', lambda paths: [below_a_file, cached]
  )
  first = record_index(paths, COUNTS)
  assert list(cache.glob('layernas/*/*')) == [cached]
  monkeypatch.setattr(tfds_records, '_scan', None)
  again = record_index(paths, COUNTS)
  np.testing.assert_array_equal(again.offsets, first.offsets)


def _of_an_unknown_method(data):
  """The archive, whose first entry is said to be compressed unknowably."""
  damaged = bytearray(data)
  # In the header before the entry and in the directory.
  for head, place in ((b'PK\3\4', 8), (b'PK\1\2', 10)):
    damaged[data.index(head) + place] = 99
  return bytes(damaged)


@pytest.mark.parametrize('damage', [
    lambda data: b'', lambda data: data[:-9], lambda data: b'no archive' + data,
    _of_an_unknown_method,
])
def test_a_damaged_index_is_made_again(paths, damage):
  first = record_index(paths, COUNTS)
  kept = kept_beside(paths)
  with open(kept, 'rb') as file:
    data = file.read()
  with open(kept, 'wb') as file:
    file.write(damage(data))
  again = record_index(paths, COUNTS)
  np.testing.assert_array_equal(again.offsets, first.offsets)


def test_an_index_of_files_that_have_changed_is_made_again(paths):
  record_index(paths, COUNTS)
  with tf.io.TFRecordWriter(paths[3]) as writer:
    writer.write(b'another record')
  index = record_index(paths, COUNTS)
  assert list(read(paths, index))[-1] == b'another record'


def test_a_file_cut_short_is_named(paths):
  cut = 5
  size = os.path.getsize(paths[2])
  os.truncate(paths[2], size - cut)
  with pytest.raises(UserError) as caught:
    record_index(paths, COUNTS)
  assert str(caught.value) == (
      f'{paths[2]}: 5 records that end at byte {size} of {size - cut}: allowed'
      ' are 5 whole records; copy or prepare the data set again'
  )


def test_a_file_with_another_number_of_records_is_named(paths):
  with pytest.raises(UserError, match=r'00003-of-00004: 1 records .* are 2 '):
    record_index(paths, (3, 0, 5, 2))


def test_a_missing_file_is_named(paths):
  os.remove(paths[1])
  with pytest.raises(UserError, match=r'00001-of-00004: no such file: allowed'):
    record_index(paths, COUNTS)


def test_files_of_another_file_system_are_scanned_alike(paths):
  """TensorFlow's in memory stands in for gs://."""
  remote = 'ram://record_index/records'
  with open(paths[2], 'rb') as file:
    data = file.read()
  with tf.io.gfile.GFile(remote, 'wb') as file:
    file.write(data)
  np.testing.assert_array_equal(*(
      tfds_records._scan(path, 5, len(data)) for path in (remote, paths[2])
  ))
