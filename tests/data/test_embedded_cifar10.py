"""The CIFAR-10 subset inside the package, and the program that makes it."""

import collections
import gzip
import hashlib
import io
import pathlib
import random
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


@pytest.mark.long
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


@pytest.mark.parametrize('size', [
    16, pytest.param(40, marks=pytest.mark.long),
])
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


@pytest.mark.long
def test_loading_imports_neither_tensorflow_nor_jax():
  program = """
import sys
import types
import layernas.data
from layernas.data.registry import load_dataset

dataset = load_dataset(types.SimpleNamespace(
    source='embedded', name='cifar10_subset', directory='', image_size=16,
    validation_share=0.2, augmentation='crop_flip', crop_padding=2,
    augment_on='host', num_classes=10, transfer='float32', settings={}, bits=0,
    decoder='auto', min_object_covered=0.0, crop_fallback='whole',
    evaluation_margin=0, mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5)))
next(dataset.train_batches('train', 64, seed=0))
heavy = {'tensorflow', 'tensorflow_datasets', 'jax', 'flax'}
print(sorted(heavy & set(sys.modules)))
"""
  result = subprocess.run(
      [sys.executable, '-c', program], capture_output=True, text=True
  )
  assert (result.stdout, result.stderr) == ('[]\n', '')


_PROGRAM = (
    pathlib.Path(__file__).parents[2] / 'tools' / 'make_embedded_data.py'
)


def make(archive, output):
  return subprocess.run(
      [sys.executable, str(_PROGRAM), f'--archive={archive}',
       f'--output={output}'],
      capture_output=True, text=True,
  )


def write_archive(path, seed, counts, prefix=''):
  """An archive in some order, its files made at some time by someone."""
  rng = random.Random(seed)
  names = [
      f'{split}/{label}/{number:04d}.jpg'
      for split, count in counts.items()
      for label in embedded_cifar10.CLASSES
      for number in range(count)
  ]
  rng.shuffle(names)
  with tarfile.open(path, 'w') as archive:
    for name in names:
      member = tarfile.TarInfo(prefix + name)
      member.size, member.mtime = len(name), rng.randrange(10**9)
      member.uname = rng.choice(['ada', 'bob'])
      archive.addfile(member, io.BytesIO(name.encode()))


@pytest.mark.long
def test_the_subset_is_made_again_from_itself(tmp_path):
  result = make(embedded_cifar10.ARCHIVE, tmp_path / 'again.tar.gz')
  assert result.returncode == 0, result.stderr
  # Compared unpacked: versions of zlib pack differently.
  again = gzip.decompress((tmp_path / 'again.tar.gz').read_bytes())
  assert again == gzip.decompress(embedded_cifar10.ARCHIVE.read_bytes())


@pytest.mark.long
def test_the_first_images_of_every_class_are_taken(tmp_path):
  counts = {'train': 1003, 'test': 201}
  write_archive(tmp_path / 'one.tar', 0, counts)
  write_archive(tmp_path / 'two.tar', 1, counts, prefix='./')
  for name in ('one', 'two'):
    result = make(tmp_path / f'{name}.tar', tmp_path / f'{name}.tar.gz')
    assert result.returncode == 0, result.stderr
  packed = (tmp_path / 'one.tar.gz').read_bytes()
  assert (tmp_path / 'two.tar.gz').read_bytes() == packed
  with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
    found = {
        member.name: archive.extractfile(member).read() for member in archive
    }
  assert found == {
      name: name.encode()
      for split, count in (('train', 1000), ('test', 200))
      for label in embedded_cifar10.CLASSES
      for name in (
          f'{split}/{label}/{number:04d}.jpg' for number in range(count)
      )
  }


def test_an_unusable_archive_is_named_in_one_line(tmp_path):
  (tmp_path / 'text.tar.gz').write_text('no archive')
  write_archive(tmp_path / 'short.tar', 0, {'train': 1000, 'test': 199})
  for name in ('missing.tar.gz', 'text.tar.gz', 'short.tar'):
    result = make(tmp_path / name, tmp_path / 'output')
    assert result.returncode == 2
    assert result.stderr.startswith('error: flag --archive: ')
    assert str(tmp_path / name) in result.stderr
    assert 'allowed is' in result.stderr
    assert result.stderr.count('\n') == 1
    assert not (tmp_path / 'output').exists()
