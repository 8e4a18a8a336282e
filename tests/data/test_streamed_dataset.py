"""What StreamedDataset adds to any source of encoded images; local files."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from ml_collections import ConfigDict
from PIL import Image

from layernas.data import tensor_pipeline
from layernas.data.pillow_pipeline import PillowPipeline
from layernas.data.streamed_dataset import StreamedDataset
from layernas.data.tensor_pipeline import Fetch
from layernas.data.tensor_pipeline import TensorPipeline
from layernas.data.tensor_pipeline import read_locally
from layernas.data.tensor_pipeline import read_part
from layernas.errors import UserError

_IMAGES = 5


class _Greys:
  """Five grey PNG images; their label is their number."""

  name = 'greys'
  class_names = None
  num_classes = _IMAGES

  def __init__(self):
    self.files = []
    for number in range(_IMAGES):
      file = io.BytesIO()
      Image.new('L', (20, 12), 51 * number).save(file, 'PNG')
      self.files.append(file.getvalue())
    self.labels = list(range(_IMAGES))

  def num_examples(self, split: str) -> int:
    del split
    return _IMAGES

  def rows(self, split: str) -> np.ndarray:
    del split
    return np.arange(_IMAGES)

  def fetch(self, split: str) -> Fetch:
    del split
    files = tf.constant(self.files)
    labels = tf.constant(self.labels, tf.int64)
    return lambda numbered: numbered.unbatch().map(
        lambda row, key: (files[row], labels[row], key)
    )

  def read(self, split: str, row: int) -> tuple[bytes, int]:
    del split
    return self.files[row], self.labels[row]

  def describe(self, split: str, row: int) -> str:
    return f'{split} {row}'


_CONFIG = ConfigDict({
    'image_size': 8, 'augmentation': 'flip', 'crop_padding': 0,
    'transfer': 'float32', 'bits': 0, 'min_object_covered': 0.0,
    'crop_fallback': 'whole', 'evaluation_margin': 0, 'mean': (0.5, 0.5, 0.5),
    'deviation': (0.5, 0.5, 0.5),
})


_PIPELINES = {
    'tensorflow': lambda greys: TensorPipeline(greys.fetch, _CONFIG),
    'pillow': lambda greys: PillowPipeline(greys.read, _CONFIG),
}


@pytest.fixture(name='opened', params=_PIPELINES)
def _opened(
    request: pytest.FixtureRequest,
) -> Callable[[_Greys], StreamedDataset]:
  make = _PIPELINES[request.param]
  return lambda greys: StreamedDataset(greys, make(greys), _CONFIG)


@pytest.fixture(name='dataset')
def _dataset(opened: Callable[[_Greys], StreamedDataset]) -> StreamedDataset:
  return opened(_Greys())


def test_evaluation_keeps_the_order_and_scales(
    dataset: StreamedDataset,
) -> None:
  batches = list(dataset.evaluation_batches('test', 3))
  assert [batch['label'].tolist() for batch in batches] == [[0, 1, 2],
                                                           [3, 4, 0]]
  assert batches[1]['mask'].tolist() == [1, 1, 0]
  first = batches[0]['image']
  assert first.shape == (3, 8, 8, 3)
  expected = np.array([0, 51, 102]) / 127.5 - 1
  assert np.allclose(first.mean(axis=(1, 2, 3)), expected, atol=1e-2)


def test_large_batches_are_read_in_chunks(
    dataset: StreamedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
  (whole,) = dataset.evaluation_batches('test', 5)
  monkeypatch.setattr(tensor_pipeline, '_CHUNK', 2)
  (again,) = dataset.evaluation_batches('test', 5)
  assert np.array_equal(whole['image'], again['image'])
  assert np.array_equal(whole['label'], again['label'])


def test_only_images_of_the_batches_asked_for_are_read(
    opened: Callable[[_Greys], StreamedDataset],
) -> None:
  """Resuming late in an epoch is as quick as starting it."""
  source = _Greys()
  source.files[:] = [b'damaged'] * _IMAGES
  straight = opened(_Greys()).train_batches('train', 1, 0)
  labels = [int(next(straight)['label'][0]) for _ in range(_IMAGES)]
  source.files[labels[-1]] = _Greys().files[labels[-1]]
  late = opened(source).train_batches(
      'train', 1, 0, start_step=_IMAGES - 1
  )
  assert next(late)['label'].tolist() == [labels[-1]]


def test_a_label_that_is_no_class_is_named(
    opened: Callable[[_Greys], StreamedDataset],
) -> None:
  source = _Greys()
  source.labels[4] = _IMAGES
  batches = opened(source).evaluation_batches('test', 5)
  with pytest.raises(UserError, match=r'^test 4: label 5: allowed is 0 to 4$'):
    next(batches)


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
