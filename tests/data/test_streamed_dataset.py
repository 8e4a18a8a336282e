"""What StreamedDataset adds to any source of encoded images."""

import io

import numpy as np
import pytest
import tensorflow as tf
from ml_collections import ConfigDict
from PIL import Image

from layernas.data.streamed_dataset import StreamedDataset

_IMAGES = 5


class _Greys:
  """Five grey PNG images; their label is their number."""

  name = 'greys'
  class_names = None
  num_classes = _IMAGES

  def num_examples(self, split: str) -> int:
    del split
    return _IMAGES

  def in_order(self, split: str) -> tf.data.Dataset:
    del split
    return self._dataset(range(_IMAGES))

  def shuffled(self, split: str, seed: int, skip: int) -> tf.data.Dataset:
    del split
    order = np.random.default_rng(seed).permutation(_IMAGES)
    return self._dataset(order[skip:].tolist())

  def _dataset(self, numbers: object) -> tf.data.Dataset:
    files = []
    for number in numbers:
      file = io.BytesIO()
      Image.new('L', (20, 12), 51 * number).save(file, 'PNG')
      files.append(file.getvalue())
    return tf.data.Dataset.from_tensor_slices((files, list(numbers)))


@pytest.fixture(name='dataset')
def _dataset() -> StreamedDataset:
  config = ConfigDict(
      {'image_size': 8, 'augmentation': 'flip', 'crop_padding': 0}
  )
  return StreamedDataset(_Greys(), config)


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


def test_skipping_within_an_epoch_gives_the_same_batches(
    dataset: StreamedDataset,
) -> None:
  whole = dataset.train_batches('train', 2, seed=3)
  whole = [next(whole) for _ in range(6)]
  for start in range(6):
    batch = next(dataset.train_batches('train', 2, seed=3, start_step=start))
    assert batch['label'].tolist() == whole[start]['label'].tolist()
    assert np.array_equal(batch['image'], whole[start]['image'])
