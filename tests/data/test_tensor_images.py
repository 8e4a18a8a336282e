"""Decoding, resizing and augmentation of single images in TensorFlow."""

import io

import numpy as np
import pytest
from PIL import Image

from layernas.data.augmentation import AUGMENTATIONS
from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import to_transfer
from layernas.data.preparation import Preparation
from tests.data.images import jpeg
from tests.data.images import noise
from tests.data.images import png


@pytest.fixture(scope='module', name='images')
def _images():
  from layernas.data import tensor_images
  return tensor_images


def whole(shape):
  return np.zeros(2, np.int32), shape


def test_png_is_decoded_exactly(images):
  pixels = noise(9, 7)
  np.testing.assert_array_equal(
      images.decode_window(png(pixels), whole), pixels
  )
  np.testing.assert_array_equal(
      images.decode_window(png(pixels), lambda _: np.int32([[2, 1], [4, 3]])),
      pixels[2:6, 1:4],
  )


@pytest.mark.parametrize('quality', [75, 100])
def test_jpeg_is_decoded_as_pillow_does(images, quality):
  file = jpeg(noise(16, 24), quality=quality)
  np.testing.assert_allclose(
      images.decode_window(file, whole).numpy().astype(int),
      np.asarray(Image.open(io.BytesIO(file))).astype(int), atol=1,
  )


@pytest.mark.parametrize('sampling', ['4:4:4', '4:2:0'])
@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
def test_a_decoded_region_is_that_of_the_whole_image(images, sampling, mode):
  """Wherever it begins, in the blocks of 8 or 16 pixels of a JPEG or not."""
  rng = np.random.default_rng(1)
  coarse = Image.fromarray(rng.integers(0, 256, (20, 25, 3), np.uint8))
  smooth = coarse.resize((250, 200), Image.Resampling.BICUBIC)
  file = io.BytesIO()
  smooth.convert(mode).save(
      file, 'jpeg', quality=90,
      **({} if mode == 'CMYK' else {'subsampling': sampling}),
  )
  file = file.getvalue()
  expected = images.decode_window(file, whole).numpy()
  assert expected.shape == (200, 250, 3)
  windows = [(0, 0, 200, 250), (16, 32, 64, 48), (199, 249, 1, 1)]
  for _ in range(30):
    top, left = rng.integers(200), rng.integers(250)
    windows.append((
        top, left, rng.integers(1, 201 - top), rng.integers(1, 251 - left)
    ))
  for top, left, height, width in windows:
    window = np.int32([[top, left], [height, width]])
    found = images.decode_window(file, lambda _, window=window: window)
    np.testing.assert_array_equal(
        found, expected[top:top + height, left:left + width], str(window)
    )


@pytest.mark.parametrize('kind', AUGMENTATIONS)
def test_training_equals_decoding_everything_first(images, kind):
  """The same pixels as a PNG take the way without regions."""
  pixels = np.asarray(Image.fromarray(noise(9, 7)).resize((90, 70)))
  file = jpeg(pixels, quality=95)
  same = png(images.decode_window(file, whole).numpy())
  preparation = Preparation(32, kind, 2)
  for key in np.random.default_rng(2).integers(2**63, size=(5, 3)):
    np.testing.assert_array_equal(
        images.augment(file, preparation, key),
        images.augment(same, preparation, key),
    )
  np.testing.assert_array_equal(
      images.central(file, preparation), images.central(same, preparation)
  )


def test_shrinking_by_less_than_two_is_plain_bicubic(images):
  import tensorflow as tf

  pixels = noise(15, 12)
  expected = tf.image.resize(pixels, (8, 8), 'bicubic').numpy()
  np.testing.assert_allclose(
      images.resize(pixels, 8), expected, atol=1e-3
  )


def test_every_pixel_counts_at_any_size(images):
  """A change of any single pixel of the larger image changes the smaller."""
  for side in (9, 12, 16, 17, 24):
    grey = np.full((side, side, 3), 100, np.uint8)
    base = images.resize(grey, 8).numpy()
    for number in range(side):
      changed = grey.copy()
      changed[number, number] = 200
      assert np.abs(images.resize(changed, 8).numpy() - base).max() > 0.1, side


@pytest.mark.parametrize('transfer', TRANSFERS)
def test_types_are_those_of_arrays(images, transfer):
  pixels = np.linspace(0, 255, 1000, dtype=np.float32)
  found = images.to_transfer(pixels, transfer).numpy()
  expected = to_transfer(pixels, transfer)
  assert found.dtype == expected.dtype
  np.testing.assert_allclose(
      found.astype(np.float32), expected.astype(np.float32), atol=1e-6
  )


@pytest.mark.parametrize('transfer', TRANSFERS)
def test_overshoot_is_clipped(images, transfer):
  edge = np.zeros((8, 8, 3), np.uint8)
  edge[:, 4:] = 255
  large = images.resize(edge, 32).numpy()
  assert large.min() < -1
  assert large.max() > 256
  found = images.to_transfer(large, transfer).numpy()
  expected = to_transfer(np.clip(large, 0, 255), transfer)
  np.testing.assert_array_equal(found, expected)
