"""The CIFAR-10 subset inside the package."""

import collections
import hashlib
import io
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image

from layernas.data import embedded_cifar10
from layernas.data.registry import load_dataset
from layernas.errors import UserError


@pytest.fixture(scope='module', name='members')
def _members():
  """Contents of the archive by name."""
  with tarfile.open(embedded_cifar10.ARCHIVE) as archive:
    return {
        member.name: archive.extractfile(member).read() for member in archive
    }


def test_the_checksum_is_that_of_the_archive_and_its_readme():
  archive = embedded_cifar10.ARCHIVE
  data = archive.read_bytes()
  assert hashlib.sha256(data).hexdigest() == embedded_cifar10.SHA256
  readme = (archive.parent / 'README.md').read_text()
  assert f'`{embedded_cifar10.SHA256}`' in readme
  assert f'{len(data):,} bytes' in readme


def test_each_class_has_1000_training_and_200_test_images(members):
  counts = collections.Counter(
      tuple(name.split('/')[:2]) for name in members
  )
  assert counts == {
      (split, name): count
      for split, count in (('train', 1000), ('test', 200))
      for name in embedded_cifar10.CLASSES
  }


def test_images_are_32_pixels_square_and_coloured(members):
  images = [
      Image.open(io.BytesIO(members[f'train/{name}/0500.jpg']))
      for name in embedded_cifar10.CLASSES
  ]
  assert {(image.size, image.mode) for image in images} == {((32, 32), 'RGB')}


def test_the_held_out_part_is_stratified(load):
  dataset = load('embedded', image_size=32)
  for split, each in (('train', 750), ('validation', 250), ('test', 200)):
    (batch,) = dataset.evaluation_batches(split, dataset.num_examples(split))
    counts = np.bincount(batch['label'], minlength=10)
    np.testing.assert_array_equal(counts, [each] * 10)


def test_images_come_with_the_label_of_their_directory(load, members):
  dataset = load('embedded', image_size=32)
  (batch,) = dataset.evaluation_batches('test', 2000)
  labels = {
      image.tobytes(): label
      for image, label in zip(batch['image'], batch['label'], strict=True)
  }
  for label, name in enumerate(dataset.class_names):
    image = Image.open(io.BytesIO(members[f'test/{name}/0123.jpg']))
    pixels = np.asarray(image).astype(np.float32) / 127.5 - 1.0
    assert labels[pixels.tobytes()] == label


@pytest.mark.parametrize('size', [16, 40])
def test_other_sizes_are_resampled_without_a_shift(load, size):
  """Halves of an image keep their mean brightness."""
  native, other = (
      next(load('embedded', image_size=side).evaluation_batches('test', 300))
      ['image'] for side in (32, size)
  )
  assert other.shape == (300, size, size, 3)
  for axis in (1, 2):
    halves = [
        np.stack([half.mean((1, 2)) for half in np.split(images, 2, axis)])
        for images in (native, other)
    ]
    np.testing.assert_allclose(*halves, atol=0.06)


def test_a_damaged_archive_is_named(config, monkeypatch, tmp_path):
  damaged = tmp_path / 'damaged.tar.gz'
  damaged.write_bytes(embedded_cifar10.ARCHIVE.read_bytes()[:-1])
  for path in (damaged, tmp_path / 'missing.tar.gz'):
    monkeypatch.setattr(embedded_cifar10, 'ARCHIVE', path)
    with pytest.raises(UserError, match=f'{path}: missing or damaged'):
      load_dataset(config())


def test_loading_imports_neither_tensorflow_nor_jax():
  program = """
import sys
import types
import layernas.data
from layernas.data.registry import load_dataset

dataset = load_dataset(types.SimpleNamespace(
    source='embedded', name='cifar10_subset', directory='', image_size=16,
    validation_share=0.2, augmentation='crop_flip', crop_padding=2,
    num_classes=10, transfer='float32'))
next(dataset.train_batches('train', 64, seed=0))
heavy = {'tensorflow', 'tensorflow_datasets', 'jax', 'flax'}
print(sorted(heavy & set(sys.modules)))
"""
  result = subprocess.run(
      [sys.executable, '-c', program], capture_output=True, text=True
  )
  assert (result.stdout, result.stderr) == ('[]\n', '')
