"""Offsets of records, against what TensorFlow reads."""

import os

import numpy as np
import pytest
import tensorflow as tf
from etils import epath

from layernas.data import tfds_records as module
from layernas.data.tfds_records import record_index
from layernas.errors import UserError

COUNTS = (3, 0, 5, 1)


@pytest.fixture(name='cache', autouse=True)
def _cache(tmp_path, monkeypatch):
  cache = tmp_path / 'cache'
  monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
  return cache


@pytest.fixture(name='paths')
def _paths(tmp_path):
  """Files of several records of 0 to 300,000 bytes."""
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
  monkeypatch.setattr(module, '_scan', None)
  again = record_index(paths, COUNTS)
  np.testing.assert_array_equal(again.offsets, first.offsets)
  np.testing.assert_array_equal(again.lengths, first.lengths)


def test_beside_files_that_cannot_be_written_the_cache_is_used(
    paths, cache, monkeypatch
):
  beside, cached = module._places(paths)
  assert beside.parent == epath.Path(paths[0]).parent
  below_a_file = epath.Path(paths[0]) / 'index.npz'
  monkeypatch.setattr(module, '_places', lambda paths: [below_a_file, cached])
  first = record_index(paths, COUNTS)
  assert list(cache.glob('layernas/*/*')) == [cached]
  monkeypatch.setattr(module, '_scan', None)
  again = record_index(paths, COUNTS)
  np.testing.assert_array_equal(again.offsets, first.offsets)


@pytest.mark.parametrize('damage', [lambda data: b'', lambda data: data[:-9],
                                    lambda data: b'no archive' + data])
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


@pytest.mark.parametrize('cut', [1, 5])
def test_a_file_cut_short_is_named(paths, cut):
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
  np.testing.assert_array_equal(
      module._scan(remote, 5, len(data)), module._scan(paths[2], 5, len(data))
  )
