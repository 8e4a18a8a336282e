"""What both decoders do to a single image, and how they agree."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from layernas.data import pillow_images
from layernas.data.augmentation import AUGMENTATIONS
from layernas.data.pillow_images import DamagedError
from layernas.data.preparation import Preparation
from tests.data.images import jpeg
from tests.data.images import noise
from tests.data.images import png
from tests.data.images import smooth
from tests.data.images import with_orientation


class _Tensors:
  """The functions of `tensor_images`, on arrays."""

  def __init__(self):
    import tensorflow as tf

    from layernas.data import tensor_images

    self._tf, self._images = tf, tensor_images

  def central(self, encoded, preparation):
    return self._images.central(encoded, preparation).numpy()

  def augmented(self, encoded, preparation, keys):
    found = self._tf.data.Dataset.from_tensor_slices(keys).map(
        lambda key: self._images.augment(encoded, preparation, key)
    )
    return np.stack(list(found.as_numpy_iterator()))

  def windows(self, preparation, shape, keys):
    found = self._tf.data.Dataset.from_tensor_slices(keys[:, :2]).map(
        lambda key: self._images.random_window(key, preparation)(
            self._tf.constant(shape, self._tf.int32)
        )
    )
    return np.array([
        np.concatenate(one) for one in found.as_numpy_iterator()
    ])


class _Pillow:
  """The functions of `pillow_images`."""

  central = staticmethod(pillow_images.central)

  def augmented(self, encoded, preparation, keys):
    return np.stack([
        pillow_images.augment(encoded, preparation, key) for key in keys
    ])

  def windows(self, preparation, shape, keys):
    return np.array([
        pillow_images.random_window(
            np.random.default_rng(key), preparation
        )(*shape)
        for key in keys
    ])


@pytest.fixture(scope='module', name='images', params=[_Tensors, _Pillow])
def _images(request):
  return request.param()


def keys_of(count):
  return np.random.default_rng(0).integers(2**63, size=(count, 3))


@pytest.mark.parametrize('shape', [(8, 14), (14, 8), (8, 8)])
def test_evaluation_takes_the_central_square(images, shape):
  pixels = noise(*shape)
  top, left = (shape[0] - 8) // 2, (shape[1] - 8) // 2
  np.testing.assert_allclose(
      images.central(png(pixels), Preparation(8, 'crop_flip')),
      pixels[top:top + 8, left:left + 8], atol=1e-3,
  )


def test_evaluation_after_resized_crop_takes_seven_eighths(images):
  pixels = noise(32, 40)
  np.testing.assert_allclose(
      images.central(png(pixels), Preparation(28, 'resized_crop')),
      pixels[2:30, 6:34], atol=1e-3,
  )


@pytest.mark.parametrize(('size', 'side'), [(32, 48), (96, 72), (224, 84)])
def test_evaluation_with_a_margin_goes_by_the_size(images, size, side):
  """TuNAS: size / (size + 32) of the shorter side, here 96."""
  pixels = noise(96, 128)
  preparation = Preparation(size, 'resized_crop', margin=32)
  top, left = (96 - side) // 2, (128 - side) // 2
  part = pixels[top:top + side, left:left + side]
  np.testing.assert_array_equal(
      images.central(png(pixels), preparation),
      images.central(png(part), Preparation(size, 'none')),
  )


def test_smaller_areas_than_are_to_be_covered_are_drawn_again(images):
  side = 100
  areas = {
      covered: images.windows(
          Preparation(8, 'resized_crop', min_covered=covered), (side, side),
          keys_of(60),
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
    preparation = Preparation(8, 'resized_crop', fallback=fallback, **fields)
    found = images.windows(preparation, (20, 400), keys_of(5))
    assert {tuple(window) for window in found} == {tuple(expected)}


@pytest.mark.parametrize('covered', [0.0, 0.3])
@pytest.mark.parametrize('shape', [
    (64, 64), (48, 96), pytest.param((100, 40), marks=pytest.mark.long),
    pytest.param((375, 500), marks=pytest.mark.long),
])
def test_both_decoders_draw_areas_of_one_distribution(shape, covered):
  preparation = Preparation(8, 'resized_crop', min_covered=covered)
  keys = keys_of(1500)
  one, other = (
      kind().windows(preparation, shape, keys) for kind in (_Tensors, _Pillow)
  )
  for figure in (
      *(lambda found, column=column: found[:, column] for column in range(4)),
      lambda found: found[:, 2] * found[:, 3],
      lambda found: found[:, 3] / found[:, 2],
  ):
    assert stats.ks_2samp(figure(one), figure(other)).pvalue > 1e-3


@pytest.mark.parametrize('kind', AUGMENTATIONS)
def test_the_result_depends_on_the_key_alone(images, kind):
  encoded, preparation = png(noise(12, 12)), Preparation(8, kind, 2)
  first, again = (
      images.augmented(encoded, preparation, keys_of(12)) for _ in range(2)
  )
  np.testing.assert_array_equal(first, again)
  assert first.shape == (12, 8, 8, 3)
  different = len({image.tobytes() for image in first})
  if kind == 'none':
    assert different == 1
  elif kind == 'flip':
    assert different == 2
  else:
    assert different > 6


def test_flip_mirrors_half_of_the_images(images):
  pixels = noise(8, 8)
  found = images.augmented(png(pixels), Preparation(8, 'flip'), keys_of(200))
  mirrored = [np.allclose(image, pixels[:, ::-1], atol=1e-3) for image in found]
  kept = [np.allclose(image, pixels, atol=1e-3) for image in found]
  assert all(np.add(mirrored, kept) == 1)
  assert 70 < sum(mirrored) < 130


def test_crop_flip_draws_every_offset_of_the_padded_image(images):
  pixels = noise(8, 8)
  padded = np.pad(pixels, [(1, 1), (1, 1), (0, 0)])
  crops = {}
  for top in range(3):
    for left in range(3):
      crop = padded[top:top + 8, left:left + 8]
      crops[top, left, False] = crop
      crops[top, left, True] = crop[:, ::-1]
  seen = set()
  for image in images.augmented(
      png(pixels), Preparation(8, 'crop_flip', 1), keys_of(300)
  ):
    matches = [
        key for key, crop in crops.items()
        if np.allclose(image, crop, atol=1e-3)
    ]
    assert len(matches) == 1
    seen.update(matches)
  assert seen == set(crops)


def test_resized_crop_takes_the_documented_areas(images):
  """A ramp in each direction tells the area and its aspect."""
  side = 64
  ramp = np.zeros((side, side, 3), np.uint8)
  ramp[:, :, 0] = np.arange(side)[:, None] * 4
  ramp[:, :, 1] = np.arange(side)[None, :] * 4
  found = images.augmented(
      png(ramp), Preparation(side, 'resized_crop'), keys_of(300)
  )
  height, width = (
      np.ptp(found[..., channel], axis=(1, 2)) / 4 + 1 for channel in (0, 1)
  )
  area, aspect = height * width / side**2, width / height
  assert 0.07 < area.min() < 0.15
  assert 0.85 < area.max() <= 1.01
  assert 0.7 < aspect.min() < 0.85
  assert 1.2 < aspect.max() < 1.4


def picture(height, width):
  """A JPEG file like a photograph, without grain."""
  coarse = np.random.default_rng(1).integers(0, 256, (9, 12, 3), np.uint8)
  return Image.fromarray(coarse).resize(
      (width, height), Image.Resampling.BICUBIC
  )


@pytest.mark.parametrize(('shape', 'size'), [
    ((60, 80), 96), ((60, 80), 60), ((120, 160), 64), ((800, 1100), 32),
])
def test_both_decoders_see_the_same_image(shape, size):
  """Enlarged, kept, shrunk; from large files a part is decoded."""
  encoded = jpeg(np.asarray(picture(*shape)), quality=95)
  preparation = Preparation(size, 'resized_crop')
  one, other = (
      kind().central(encoded, preparation) for kind in (_Tensors, _Pillow)
  )
  np.testing.assert_allclose(one, other, atol=10)
  assert np.abs(one - other).mean() < 1


@pytest.mark.parametrize('shape', [(1203, 1601), (1600, 1200)])
def test_a_smaller_decoding_is_of_the_same_part(shape):
  """Decoded at a quarter, an area is where it is in the whole image."""
  pixels = np.asarray(picture(*shape))
  preparation = Preparation(32, 'resized_crop', min_covered=0.2)
  keys = keys_of(10)
  found, expected = (
      _Pillow().augmented(file, preparation, keys)
      for file in (jpeg(pixels, quality=95), png(pixels))
  )
  difference = np.abs(found.astype(int) - expected.astype(int))
  assert difference.max() < 9
  assert difference.mean() < 1


@pytest.mark.parametrize('number', range(2, 9))
def test_areas_of_turned_files_are_those_of_upright_ones(images, number):
  """The area is chosen in the image as it is seen."""
  if isinstance(images, _Tensors):
    pytest.skip('its files are set upright before')
  stored = with_orientation(smooth(17, 23), number, 'png')
  with Image.open(io.BytesIO(stored)) as image:
    pixels = np.asarray(image)
  turned = {
      2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
      5: pixels.swapaxes(0, 1), 6: np.rot90(pixels, -1),
      7: pixels[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(pixels),
  }
  preparation = Preparation(9, 'resized_crop')
  # Rows are resampled before columns, and rounded in between.
  np.testing.assert_allclose(*(
      images.augmented(file, preparation, keys_of(20)).astype(int)
      for file in (stored, png(turned[number]))
  ), atol=1)


@pytest.mark.parametrize('end', [1, 4, 5, 30])
@pytest.mark.parametrize('kind', [png, jpeg])
def test_files_that_are_cut_off_are_damaged(kind, end):
  whole = kind(noise(24, 24))
  for decode in (
      pillow_images.check,
      lambda data: pillow_images.central(data, Preparation(8, 'none')),
  ):
    decode(whole)
    with pytest.raises(DamagedError):
      decode(whole[:-end])


def test_a_changed_bit_of_a_png_file_is_damage():
  """Its pixels may be decoded all the same; its checksums say it."""
  whole = png(smooth(16, 16))
  for place in range(whole.index(b'IDAT'), len(whole) - 12, 5):
    changed = bytearray(whole)
    changed[place] ^= 4
    with pytest.raises(DamagedError):
      pillow_images.central(bytes(changed), Preparation(8, 'none'))
