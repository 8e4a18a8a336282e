"""Data sets in memory; what all data sets promise is in test_dataset.py."""

import itertools

import numpy as np
import pytest

from layernas.data.array_dataset import ArrayDataset
from tests.search import problems


def make_dataset(config, images=12, **fields):
  """Three classes; the value of an image's pixels is its number."""
  numbers = np.arange(images + 6, dtype=np.uint8)
  pixels = np.broadcast_to(numbers[:, None, None, None], (images + 6, 8, 8, 3))
  labels = numbers % 3
  splits = {
      'all_train': (lambda: pixels[:images], labels[:images]),
      'test': (lambda: pixels[images:], labels[images:]),
  }
  return ArrayDataset(
      'numbers', splits, 3, config(**fields), ('a', 'b', 'c')
  )


def numbers_of(batch):
  return np.rint((batch['image'][:, 0, 0, 0] + 1) * 127.5).astype(int)


@pytest.fixture(name='dataset')
def _dataset(config):
  return make_dataset(config)


def test_the_last_images_of_every_class_are_held_out(dataset):
  (validation,) = dataset.evaluation_batches('validation', 3)
  np.testing.assert_array_equal(numbers_of(validation), [9, 10, 11])
  (train,) = dataset.evaluation_batches('train', 9)
  np.testing.assert_array_equal(numbers_of(train), range(9))


def test_order_differs_between_epochs_and_seeds(dataset):
  orders = {
      (seed, epoch): tuple(numbers_of(batch))
      for seed in range(3)
      for epoch, batch in enumerate(
          itertools.islice(dataset.train_batches('train', 9, seed), 3)
      )
  }
  assert len(set(orders.values())) == 9
  assert all(sorted(order) == list(range(9)) for order in orders.values())


def test_every_image_is_left_out_of_some_epoch(dataset):
  """The images that fill no whole batch are others in every epoch."""
  seen = [
      set(numbers_of(batch))
      for batch in itertools.islice(dataset.train_batches('train', 8, 0), 40)
  ]
  left_out = set().union(*(set(range(9)) - epoch for epoch in seen))
  assert left_out == set(range(9))


def test_images_are_read_once_and_not_before_they_are_needed(config):
  read = []

  def images():
    read.append(1)
    return np.zeros((12, 8, 8, 3), np.uint8)

  labels = np.arange(12) % 3
  dataset = ArrayDataset(
      'counted', dict.fromkeys(('all_train', 'test'), (images, labels)), 3,
      config(),
  )
  assert dataset.num_examples('train') == 9
  assert dataset.image_size == 8
  assert not read
  for split in ('train', 'validation', 'all_train'):
    next(dataset.train_batches(split, 3, 0))
    list(dataset.evaluation_batches(split, 3))
  assert len(read) == 1


def _with(config, images, labels):
  """Twelve images to train on; the test images are right."""
  test = lambda: np.zeros((3, 8, 8, 3), np.uint8), np.arange(3)
  splits = {'all_train': (lambda: images, labels), 'test': test}
  return ArrayDataset('own', splits, 3, config())


@pytest.mark.parametrize('labels', [
    np.arange(12) % 3 + 1, np.arange(12) % 3 - 1, (np.arange(12) % 3) / 1,
    np.eye(3)[np.arange(12) % 3],
], ids=['from one', 'negative', 'numbers', 'one-hot'])
def test_labels_are_numbers_of_classes(config, labels):
  with problems.refuses('data set own', "'all_train'", '0 to 2'):
    _with(config, np.zeros((12, 8, 8, 3), np.uint8), labels)


@pytest.mark.parametrize('images', [
    np.zeros((12, 8, 8, 3)), np.zeros((12, 8, 8, 1), np.uint8),
    np.zeros((12, 6, 8, 3), np.uint8), np.zeros((11, 8, 8, 3), np.uint8),
], ids=['shares', 'grey', 'side', 'fewer'])
def test_images_are_bytes_of_the_config_s_size(config, images):
  dataset = _with(config, images, np.arange(12) % 3)
  with problems.refuses('data set own', 'uint8', '(12, 8, 8, 3)'):
    next(dataset.train_batches('train', 3, 0))
