"""Decoding, resizing and augmentation of single images in TensorFlow."""

import io

import numpy as np
import pytest
from PIL import Image

from layernas.data.augmentation import AUGMENTATIONS


@pytest.fixture(scope='module', name='images')
def _images():
  from layernas.data import tensor_images
  return tensor_images


@pytest.fixture(scope='module', name='augmented')
def _augmented(images):
  """Augments an image once for each of a number of seeds."""
  import tensorflow as tf

  def augmented(image, size, kind, padding, count):
    def one(index):
      seed = tf.stack([tf.constant(0, tf.int64), index])
      return images.augment(tf.constant(image), size, kind, padding, seed)

    numbers = tf.data.Dataset.range(count)
    return np.stack(list(numbers.map(one).as_numpy_iterator()))

  return augmented


def noise(height, width):
  rng = np.random.default_rng(0)
  return rng.integers(1, 256, (height, width, 3), dtype=np.uint8)


def test_png_is_decoded_exactly(images):
  pixels, file = noise(9, 7), io.BytesIO()
  Image.fromarray(pixels).save(file, 'png')
  np.testing.assert_array_equal(images.decode(file.getvalue()), pixels)


@pytest.mark.parametrize('quality', [75, 100])
def test_jpeg_is_decoded_as_pillow_does(images, quality):
  file = io.BytesIO()
  Image.fromarray(noise(16, 24)).save(file, 'jpeg', quality=quality)
  np.testing.assert_allclose(
      images.decode(file.getvalue()).numpy().astype(int),
      np.asarray(Image.open(file)).astype(int), atol=1,
  )


@pytest.mark.parametrize('shape', [(8, 14), (14, 8), (8, 8)])
def test_evaluation_takes_the_central_square(images, shape):
  pixels = noise(*shape)
  top, left = (shape[0] - 8) // 2, (shape[1] - 8) // 2
  np.testing.assert_allclose(
      images.central(pixels, 8, 'crop_flip'),
      pixels[top:top + 8, left:left + 8], atol=1e-3,
  )


def test_evaluation_after_resized_crop_takes_seven_eighths(images):
  pixels = noise(32, 40)
  np.testing.assert_allclose(
      images.central(pixels, 28, 'resized_crop'), pixels[2:30, 6:34], atol=1e-3
  )


def test_shrinking_counts_every_pixel(images):
  pixels = noise(64, 64)
  small = images.resize(pixels, 8).numpy()
  # The spread of the mean of 8x8 pixels; bicubic weights make it a bit more.
  assert small.std() < 2 * pixels.std() / 8


def test_overshoot_is_clipped(images):
  edge = np.zeros((8, 8, 3), np.uint8)
  edge[:, 4:] = 255
  large = images.resize(edge, 32).numpy()
  assert large.min() == 0
  assert large.max() == 255


@pytest.mark.parametrize('kind', AUGMENTATIONS)
def test_the_result_depends_on_the_seed_alone(augmented, kind):
  pixels = noise(12, 12)
  first, again = (augmented(pixels, 8, kind, 2, 12) for _ in range(2))
  np.testing.assert_array_equal(first, again)
  assert first.shape == (12, 8, 8, 3)
  different = len({image.tobytes() for image in first})
  if kind == 'none':
    assert different == 1
  elif kind == 'flip':
    assert different == 2
  else:
    assert different > 6


def test_flip_mirrors_half_of_the_images(augmented):
  pixels = noise(8, 8)
  found = augmented(pixels, 8, 'flip', 0, 200)
  mirrored = [np.allclose(image, pixels[:, ::-1], atol=1e-3) for image in found]
  kept = [np.allclose(image, pixels, atol=1e-3) for image in found]
  assert all(np.add(mirrored, kept) == 1)
  assert 70 < sum(mirrored) < 130


def test_crop_flip_draws_every_offset_of_the_padded_image(augmented):
  pixels = noise(8, 8)
  padded = np.pad(pixels, [(1, 1), (1, 1), (0, 0)])
  crops = {}
  for top in range(3):
    for left in range(3):
      crop = padded[top:top + 8, left:left + 8]
      crops[top, left, False] = crop
      crops[top, left, True] = crop[:, ::-1]
  seen = set()
  for image in augmented(pixels, 8, 'crop_flip', 1, 300):
    matches = [
        key for key, crop in crops.items()
        if np.allclose(image, crop, atol=1e-3)
    ]
    assert len(matches) == 1
    seen.update(matches)
  assert seen == set(crops)


def test_resized_crop_takes_the_documented_areas(augmented):
  """A ramp in each direction tells the area and its aspect."""
  side = 64
  ramp = np.zeros((side, side, 3), np.uint8)
  ramp[:, :, 0] = np.arange(side)[:, None] * 4
  ramp[:, :, 1] = np.arange(side)[None, :] * 4
  found = augmented(ramp, side, 'resized_crop', 0, 300)
  height, width = (
      np.ptp(found[..., channel], axis=(1, 2)) / 4 + 1 for channel in (0, 1)
  )
  area, aspect = height * width / side**2, width / height
  assert 0.07 < area.min() < 0.15
  assert 0.85 < area.max() <= 1.01
  assert 0.7 < aspect.min() < 0.85
  assert 1.2 < aspect.max() < 1.4
