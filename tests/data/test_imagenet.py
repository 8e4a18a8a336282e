"""ImageNet from end to end, as its real builder stores it."""

import io
import itertools
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from layernas.data.dataset import HostShare
from layernas.data.registry import load_dataset
from layernas.errors import UserError
from tests import imagenet as imagenet_set
from tests.data import conftest

SIDE = 56
"""The made-up images, 70 to 96 pixels, shrink by less than two to it."""


def fields_of(directory, **changes):
  return conftest.make_config(**{
      'source': 'tfds', 'name': 'imagenet2012', 'directory': str(directory),
      'num_classes': 1000, 'image_size': SIDE, 'augmentation': 'resized_crop',
      'validation_share': 0.25, 'transfer': 'uint8',
  } | changes)


@pytest.fixture(scope='module', name='dataset')
def _dataset(imagenet):
  return load_dataset(fields_of(imagenet))


def take(batches, count):
  return list(itertools.islice(batches, count))


def assert_same(left, right):
  assert len(left) == len(right)
  for one, other in zip(left, right, strict=True):
    for name in ('image', 'label', 'mask'):
      np.testing.assert_array_equal(one[name], other[name])


def central_square(encoded):
  """What evaluation sees, by another way: whole image, Pillow, float."""
  import tensorflow as tf

  image = np.asarray(Image.open(io.BytesIO(encoded)).convert('RGB'))
  side = round(224 / 256 * min(image.shape[:2]))
  top, left = ((length - side) // 2 for length in image.shape[:2])
  square = image[top:top + side, left:left + side]
  return tf.image.resize(square, (SIDE, SIDE), 'bicubic').numpy()


def test_describes_imagenet(dataset):
  assert dataset.name == 'imagenet2012/5.1.0'
  assert dataset.num_classes == 1000
  assert dataset.class_names[0] == 'n01440764'
  sizes = [
      dataset.num_examples(split)
      for split in ('all_train', 'train', 'validation', 'test')
  ]
  assert sizes == [41, 31, 10, 13]


def test_it_is_stored_in_several_files(imagenet):
  files = imagenet.glob('imagenet2012/5.1.0/imagenet2012-train.tfrecord-*')
  assert len([path for path in files if path.suffix != '.npz']) == 3


def test_evaluation_sees_the_centre_of_every_image(dataset):
  (batch,) = dataset.evaluation_batches('all_train', 41)
  numbers = {
      1000 * label + number: label
      for label, count in imagenet_set.CLASSES.items()
      for number in range(count)
  }
  expected = {
      number: central_square(imagenet_set.image(number))
      for number in numbers
  }
  for image, label in zip(batch['image'], batch['label'], strict=True):
    distances = {
        number: np.abs(np.clip(other, 0, 255) - image).max()
        for number, other in expected.items()
    }
    nearest = min(distances, key=distances.get)
    # One level for Pillow's decoder, and rounding.
    assert distances[nearest] < 3
    assert numbers[nearest] == label
    del expected[nearest]
  assert not expected


@pytest.mark.parametrize('batch_size', [5, 16])
def test_the_official_images_count_once(dataset, batch_size):
  (whole,) = dataset.evaluation_batches('test', 13)
  batches = list(dataset.evaluation_batches('test', batch_size))
  masks = np.concatenate([batch['mask'] for batch in batches])
  images = np.concatenate([batch['image'] for batch in batches])
  assert masks.sum() == imagenet_set.TEST_IMAGES
  np.testing.assert_array_equal(images[masks == 1], whole['image'])


@pytest.mark.parametrize('hosts', [
    2, pytest.param(1, marks=pytest.mark.long),
])
def test_training_resumes_at_any_step_bit_for_bit(imagenet, dataset, hosts):
  """In the first epoch of five batches, at its end, and in the second."""
  size, seed = 6, 11
  straight = take(dataset.train_batches('train', size, seed), 12)
  for step in (4, 8):
    # As after a preemption, in a process that has read nothing yet.
    fresh = load_dataset(fields_of(imagenet))
    parts = [
        take(fresh.train_batches(
            'train', size, seed, step, HostShare(host, hosts)
        ), 4)
        for host in range(hosts)
    ]
    joined = [
        {name: np.concatenate([part[name] for part in batch])
         for name in batch[0]}
        for batch in zip(*parts, strict=True)
    ]
    assert_same(joined, straight[step:step + 4])


@pytest.mark.long
def test_the_command_of_the_message_prepares_it(tmp_path):
  import tensorflow_datasets as tfds

  with pytest.raises(UserError, match='about 155 GB') as caught:
    load_dataset(fields_of(tmp_path))
  message = str(caught.value)
  assert '\n' not in message
  names = tfds.builder('imagenet2012', data_dir=tmp_path).info.features[
      'label'
  ].names
  imagenet_set.write_archives(tmp_path / 'downloads' / 'manual', names)
  command = shlex.split(message.partition(' and run: ')[2])
  assert command[0] == 'python'
  done = subprocess.run(
      [sys.executable, *command[1:]], capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  assert load_dataset(fields_of(tmp_path)).num_examples('test') == 13
