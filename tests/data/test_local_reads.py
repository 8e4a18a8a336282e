"""Chunks of local files inside tf.data."""

import numpy as np
import pytest
import tensorflow as tf

from layernas.data.streamed_dataset import read_locally
from layernas.data.streamed_dataset import read_part


def numbered(*chunks):
  """Rows in chunks, with keys that tell them."""
  def elements():
    for rows in chunks:
      yield np.int64(rows), np.int64(rows)[:, None] * [1, 2, 3]

  return tf.data.Dataset.from_generator(elements, output_signature=(
      tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None, 3), tf.int64)
  ))


def test_single_images_come_in_order_with_label_and_key():
  chunks = [[5, 3, 8], [1], [2, 9]] * 7

  def read(rows):
    return [b'%d' % row for row in rows], [10 * row for row in rows]

  found = list(read_locally(numbered(*chunks), read).as_numpy_iterator())
  rows = [row for chunk in chunks for row in chunk]
  assert [image for image, _, _ in found] == [b'%d' % row for row in rows]
  assert [label for _, label, _ in found] == [10 * row for row in rows]
  assert [tuple(key) for _, _, key in found] == [
      (row, 2 * row, 3 * row) for row in rows
  ]


def test_bytes_are_kept_whatever_they_are():
  """NumPy's own strings would drop zeros at the end."""
  data = [b'', bytes(5), b'a' + bytes(3)]
  found = read_locally(numbered([0, 1, 2]), lambda rows: (data, [0, 0, 0]))
  assert [image for image, _, _ in found.as_numpy_iterator()] == data


def test_a_failed_read_is_an_error_of_its_chunk():
  def read(rows):
    if 3 in rows:
      raise FileNotFoundError('gone')
    return [b''] * len(rows), [0] * len(rows)

  images = iter(read_locally(numbered([1, 2], [3], [4]), read))
  next(images)
  next(images)
  with pytest.raises(tf.errors.OpError, match='FileNotFoundError: gone'):
    next(images)


def test_parts_of_files(tmp_path):
  path = tmp_path / 'file'
  path.write_bytes(b'0123456789')
  assert read_part(str(path), 3, 4) == b'3456'
  assert read_part(str(path), 8, 4) == b'89'
