"""Directories of image files, and each wrong arrangement of them."""

import shutil

import numpy as np
import pytest
from PIL import Image

from layernas.data.image_folder import list_images
from layernas.data.registry import load_dataset
from layernas.errors import UserError


def names(paths):
  return ['/'.join(path.split('/')[-3:]) for path in paths]


def error_of(directory):
  with pytest.raises(UserError) as caught:
    list_images(str(directory))
  message = str(caught.value)
  assert '\n' not in message
  assert 'allowed' in message
  return message


def test_files_are_sorted_by_class_and_name(folder):
  files = list_images(str(folder(train=(3, 2), test=(1, 1))))
  assert files.class_names == ('class0', 'class1')
  assert names(files.paths['all_train']) == [
      'train/class0/000.png', 'train/class0/001.jpg', 'train/class0/002.JPEG',
      'train/class1/000.png', 'train/class1/001.jpg',
  ]
  assert files.labels['all_train'] == (0, 0, 0, 1, 1)
  assert names(files.paths['test']) == [
      'test/class0/000.png', 'test/class1/000.png'
  ]
  assert files.labels['test'] == (0, 1)


@pytest.mark.parametrize('name', ['test', 'val', 'validation'])
def test_the_test_images_may_have_other_names(folder, name):
  files = list_images(str(folder(test_name=name)))
  assert files.paths['test'][0].split('/')[-3] == name


def test_test_comes_before_val(folder):
  root = folder()
  folder(train=(), test=(1, 1, 1), test_name='val')
  assert len(list_images(str(root)).paths['test']) == 9


def test_hidden_files_are_passed_over(folder):
  root = folder()
  (root / 'train' / '.cache').mkdir()
  (root / 'train' / 'class0' / '.DS_Store').write_text('')
  assert len(list_images(str(root)).paths['all_train']) == 28


def test_the_home_directory_is_found(folder, monkeypatch):
  root = folder()
  monkeypatch.setenv('HOME', str(root.parent))
  assert list_images('~/images').directory == root


def test_a_missing_directory_is_named(tmp_path):
  missing = tmp_path / 'nothing'
  message = error_of(missing)
  assert message.startswith(f"data.directory: '{missing}': no such directory")
  assert 'train/CLASS/ and test/CLASS/ (or val/ or validation/)' in message


@pytest.mark.parametrize(('removed', 'left'), [('train', 'test'),
                                               ('test', 'train')])
def test_a_missing_split_is_named(folder, removed, left):
  root = folder()
  shutil.rmtree(root / removed)
  assert f"data.directory: '{root}': holds ['{left}']" in error_of(root)


def test_an_empty_class_is_named(folder):
  root = folder(test=(3, 0, 4))
  assert error_of(root).startswith(
      f'{root}/test/class1: images found: 0; allowed is 1'
  )


def test_a_class_with_nothing_to_hold_out_is_named(folder):
  root = folder(train=(9, 12, 1))
  assert error_of(root).startswith(
      f'{root}/train/class2: images found: 1; allowed is 2'
  )


def test_a_single_class_is_refused(folder):
  root = folder(train=(4,), test=(4,))
  assert error_of(root).startswith(f'{root}/train: has 1 classes')


@pytest.mark.parametrize(('train', 'test'), [((3, 3, 3), (2, 2)),
                                             ((3, 3), (2, 2, 2))])
def test_classes_that_differ_between_splits_are_named(folder, train, test):
  root = folder(train=train, test=test)
  message = error_of(root)
  for split, counts in (('train', train), ('test', test)):
    classes = [f'class{label}' for label in range(len(counts))]
    assert str(root / split) in message
    assert str(classes) in message


@pytest.mark.parametrize('name', ['notes.txt', 'image.gif', 'image'])
def test_a_file_that_is_no_image_is_named(folder, name):
  root = folder()
  path = root / 'train' / 'class1' / name
  path.write_text('no image')
  assert error_of(root) == (
      f'{path}: not an image file; allowed are files named *.jpg, *.jpeg,'
      ' *.png'
  )


def test_a_directory_inside_a_class_is_named(folder):
  root = folder()
  path = root / 'test' / 'class0' / 'more.jpg'
  path.mkdir()
  assert error_of(root).startswith(f'{path}: not an image file')


def test_a_file_beside_the_classes_is_named(folder):
  root = folder()
  path = root / 'train' / 'labels.csv'
  path.write_text('')
  assert error_of(root).startswith(f'{path}: not a directory')


@pytest.fixture(name='open_folder')
def _open_folder(config):
  return lambda root, **changes: load_dataset(
      config(source='folder', directory=str(root), **changes)
  )


def test_the_last_files_of_every_class_are_held_out(
    open_folder, folder, image_of
):
  root = folder(train=(3, 8), test=(1, 1))
  Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(
      root / 'train' / 'class0' / '999.png'
  )
  dataset = open_folder(root, validation_share=0.25)
  (batch,) = dataset.evaluation_batches('validation', 3)
  np.testing.assert_array_equal(batch['label'], [0, 1, 1])
  np.testing.assert_allclose(batch['image'][0], 7 / 127.5 - 1, atol=1e-6)


def test_kinds_of_image_files_give_the_same_pixels(open_folder, folder):
  root = folder(test=(0, 1, 1))
  pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
  grey = Image.fromarray(pixels)
  saved = {
      '0.png': grey,
      '1.png': grey.convert('RGB'),
      '2.png': grey.convert('LA'),
      '3.png': grey.convert('P'),
      '4.png': grey.convert('RGBA'),
      '5.jpg': grey,
      '6.JPG': grey.convert('RGB'),
  }
  for name, image in saved.items():
    image.save(root / 'test' / 'class0' / name, quality=100)
  (batch,) = open_folder(root).evaluation_batches('test', 9)
  found = (batch['image'][:7] + 1) * 127.5
  expected = np.repeat(pixels[:, :, None], 3, axis=2)
  for image in found[:5]:
    np.testing.assert_allclose(image, expected, atol=1e-3)
  for image in found[5:]:
    np.testing.assert_allclose(image, expected, atol=4)


@pytest.mark.parametrize(('name', 'damage'), [
    ('002.JPEG', lambda data: data[:len(data) // 2]),
    ('002.JPEG', lambda data: b''),
    ('000.png', lambda data: data[:len(data) // 2]),
    ('000.png', lambda data: b'no image' + data),
])
def test_a_damaged_image_is_named_when_it_is_met(
    open_folder, folder, name, damage
):
  root = folder(test=(3, 3, 3))
  path = root / 'test' / 'class1' / name
  path.write_bytes(damage(path.read_bytes()))
  batches = open_folder(root).evaluation_batches('test', 3)
  assert next(batches)['label'].tolist() == [0, 0, 0]
  with pytest.raises(UserError) as caught:
    next(batches)
  message = str(caught.value)
  assert message.startswith(f'{path}: damaged, or no image (')
  assert message.endswith('): allowed are whole JPEG and PNG files')
  assert '\n' not in message


def test_a_file_that_has_gone_is_named(open_folder, folder):
  root = folder()
  dataset = open_folder(root)
  path = root / 'test' / 'class2' / '001.jpg'
  path.unlink()
  batches = dataset.evaluation_batches('test', 2)
  assert [int(next(batches)['label'][0]) for _ in range(3)] == [0, 0, 1]
  with pytest.raises(UserError, match=f'^{path}: damaged, or no image'):
    next(batches)


def test_no_file_is_opened_before_its_turn(open_folder, folder):
  """A folder of a million files opens in seconds."""
  root = folder()
  for path in root.glob('*/*/*'):
    path.write_bytes(b'damaged')
  assert open_folder(root).num_examples('all_train') == 28
