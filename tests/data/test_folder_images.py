"""Image files through tf.data."""

import itertools

import numpy as np
import pytest
from PIL import Image

from layernas.data.registry import load_dataset
from layernas.errors import UserError


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


def test_every_epoch_and_seed_augments_in_its_own_way(open_folder, folder):
  """Seen on images that are all the same, so that order plays no part."""
  root = folder(train=(8, 8), test=(1, 1))
  image = (root / 'train' / 'class0' / '000.png').read_bytes()
  for path in (root / 'train').glob('*/*'):
    path.write_bytes(image)
  dataset = open_folder(root, augmentation='resized_crop')
  batches = [
      batch['image'].tobytes()
      for seed in range(2)
      for batch in itertools.islice(dataset.train_batches('train', 4, seed), 6)
  ]
  assert len(set(batches)) == len(batches)


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


@pytest.mark.parametrize('name', ['002.JPEG', '000.png'])
@pytest.mark.parametrize('damage', [
    lambda data: data[:len(data) // 2], lambda data: b'',
    lambda data: b'no image' + data,
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


def test_a_damaged_training_image_is_named(open_folder, folder):
  root = folder()
  path = root / 'train' / 'class2' / '000.png'
  path.write_bytes(b'')
  batches = open_folder(root).train_batches('train', 20, 0)
  with pytest.raises(UserError, match=f'^{path}: damaged, or no image'):
    list(itertools.islice(batches, 5))


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
