"""Decoding, resizing and augmentation of single images in TensorFlow."""

import io

import numpy as np
import pytest
from PIL import Image

from layernas.data.augmentation import AUGMENTATIONS
from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import to_transfer


@pytest.fixture(scope='module', name='images')
def _images():
  from layernas.data import tensor_images
  return tensor_images


@pytest.fixture(scope='module', name='augmented')
def _augmented(images):
  """Augments an image once for each of a number of seeds."""
  import tensorflow as tf

  def augmented(image, size, kind, padding, count, **fields):
    preparation = images.Preparation(size, kind, padding, **fields)
    keys = np.random.default_rng(0).integers(2**63, size=(count, 3))
    encoded = png(image)
    found = tf.data.Dataset.from_tensor_slices(keys).map(
        lambda key: images.augment(encoded, preparation, key)
    )
    return np.stack(list(found.as_numpy_iterator()))

  return augmented


def noise(height, width):
  rng = np.random.default_rng(0)
  return rng.integers(1, 256, (height, width, 3), dtype=np.uint8)


def png(pixels):
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'png')
  return file.getvalue()


def jpeg(pixels, **options):
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'jpeg', **options)
  return file.getvalue()


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
  preparation = images.Preparation(32, kind, 2)
  for key in np.random.default_rng(2).integers(2**63, size=(5, 3)):
    np.testing.assert_array_equal(
        images.augment(file, preparation, key),
        images.augment(same, preparation, key),
    )
  np.testing.assert_array_equal(
      images.central(file, preparation), images.central(same, preparation)
  )


@pytest.mark.parametrize('shape', [(8, 14), (14, 8), (8, 8)])
def test_evaluation_takes_the_central_square(images, shape):
  pixels = noise(*shape)
  top, left = (shape[0] - 8) // 2, (shape[1] - 8) // 2
  np.testing.assert_allclose(
      images.central(png(pixels), images.Preparation(8, 'crop_flip')),
      pixels[top:top + 8, left:left + 8], atol=1e-3,
  )


def test_evaluation_after_resized_crop_takes_seven_eighths(images):
  pixels = noise(32, 40)
  np.testing.assert_allclose(
      images.central(png(pixels), images.Preparation(28, 'resized_crop')),
      pixels[2:30, 6:34], atol=1e-3,
  )


@pytest.mark.parametrize(('size', 'side'), [(32, 48), (96, 72), (224, 84)])
def test_evaluation_with_a_margin_goes_by_the_size(images, size, side):
  """TuNAS: size / (size + 32) of the shorter side, here 96."""
  pixels = noise(96, 128)
  preparation = images.Preparation(size, 'resized_crop', margin=32)
  top, left = (96 - side) // 2, (128 - side) // 2
  np.testing.assert_array_equal(
      images.central(png(pixels), preparation),
      images.resize(
          pixels[top:top + side, left:left + side], size
      ),
  )


def windows_of(images, preparation, shape, count):
  """Corners and sizes of random areas."""
  keys = np.random.default_rng(0).integers(2**62, size=(count, 2))
  found = [
      images.random_window(key, preparation)(np.int32(shape)) for key in keys
  ]
  return np.array([np.concatenate(window) for window in found])


def test_smaller_areas_than_are_to_be_covered_are_drawn_again(images):
  side = 100
  areas = {
      covered: windows_of(
          images, images.Preparation(8, 'resized_crop', min_covered=covered),
          (side, side), 60,
      )[:, 2:].prod(1) / side**2 for covered in (0.0, 0.4)
  }
  assert areas[0.0].min() < 0.35
  assert areas[0.4].min() >= 0.4


def test_where_no_area_fits_evaluations_is_taken(images):
  """In an image of 1:20 no aspect covers a tenth of it."""
  fields = {'min_covered': 0.1, 'margin': 24}
  for fallback, expected in (
      ('whole', [0, 0, 20, 400]), ('central', [7, 197, 5, 5]),
  ):
    found = windows_of(
        images, images.Preparation(
            8, 'resized_crop', fallback=fallback, **fields
        ), (20, 400), 5,
    )
    assert {tuple(window) for window in found} == {tuple(expected)}


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
