"""Data sets in memory; what all data sets promise is in test_dataset.py."""

import itertools

import numpy as np
import pytest

from layernas.data.array_dataset import ArrayDataset
from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import scale


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


def test_evaluation_keeps_the_order_of_the_arrays(dataset):
  batches = list(dataset.evaluation_batches('test', 4))
  np.testing.assert_array_equal(numbers_of(batches[0]), [12, 13, 14, 15])
  np.testing.assert_array_equal(numbers_of(batches[1])[:2], [16, 17])
  np.testing.assert_array_equal(batches[1]['label'], [1, 2, 0, 0])


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


def test_every_step_and_seed_augments_in_its_own_way(config):
  """Seen on images that are all the same, so that order plays no part."""
  image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
  images, labels = np.repeat(image, 12, axis=0), np.arange(12) % 3
  dataset = ArrayDataset(
      'same', dict.fromkeys(('all_train', 'test'), (lambda: images, labels)),
      3, config(augmentation='resized_crop'),
  )
  batches = [
      batch['image'].tobytes()
      for seed in range(3)
      for batch in itertools.islice(dataset.train_batches('train', 3, seed), 9)
  ]
  assert len(set(batches)) == len(batches)


def test_labels_follow_their_images(dataset):
  for batch in itertools.islice(dataset.train_batches('all_train', 5, 0), 6):
    np.testing.assert_array_equal(batch['label'], numbers_of(batch) % 3)


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


@pytest.mark.parametrize('transfer', TRANSFERS)
def test_batches_have_the_type_of_transfer(config, transfer):
  dataset = make_dataset(config, transfer=transfer)
  exact = make_dataset(config)
  for found, expected in (
      (next(dataset.train_batches('train', 4, 0)),
       next(exact.train_batches('train', 4, 0))),
      (list(dataset.evaluation_batches('test', 4))[1],
       list(exact.evaluation_batches('test', 4))[1]),
  ):
    assert found['image'].dtype == TRANSFERS[transfer]
    images = found['image'].astype(np.float32)
    if transfer == 'uint8':
      images = scale(images)
    real = found['mask'] == 1
    np.testing.assert_allclose(
        images[real], expected['image'][real], atol=1 / 256
    )
