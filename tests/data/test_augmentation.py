"""Augmentation of arrays."""

import numpy as np
import pytest

from layernas.data import augmentation


class _Fixed:
  """Stands in for a generator whose draws are known."""

  def __init__(self, integers=0, random=0.0, uniform=()):
    self._integers, self._random = integers, random
    self._uniform = list(uniform)

  def integers(self, low, high, shape):
    assert low <= self._integers < high
    return np.full(shape, self._integers)

  def random(self, shape):
    return np.full(shape, self._random)

  def uniform(self, low, high, size):
    del low, high
    return np.full(size, self._uniform.pop(0))


NO_FLIP, FLIP = 0.75, 0.25


def augmented(images, kind, padding, rng, min_covered=0.0):
  done = augmentation.Augmentation(kind, images.shape[1], padding, min_covered)
  return done.apply(images, done.draw(len(images), rng))


def noise(batch=3, side=8):
  rng = np.random.default_rng(0)
  return rng.integers(1, 256, (batch, side, side, 3), dtype=np.uint8)


def test_none_changes_nothing():
  images = noise()
  found = augmented(images, 'none', 2, None)
  np.testing.assert_array_equal(found, images)
  assert found.dtype == np.uint8


@pytest.mark.parametrize(
    ('draw', 'mirrored'), [(NO_FLIP, False), (FLIP, True)]
)
def test_flip_mirrors_left_and_right(draw, mirrored):
  images = noise()
  found = augmented(images, 'flip', 2, _Fixed(random=draw))
  expected = images[:, :, ::-1] if mirrored else images
  np.testing.assert_array_equal(found, expected)
  assert found.dtype == np.uint8


@pytest.mark.parametrize('offset', [0, 1, 2, 3, 4])
@pytest.mark.parametrize('draw', [NO_FLIP, FLIP])
def test_crop_flip_cuts_the_padded_image(offset, draw):
  images = noise()
  padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])
  expected = padded[:, offset:offset + 8, offset:offset + 8]
  if draw == FLIP:
    expected = expected[:, :, ::-1]
  found = augmented(
      images, 'crop_flip', 2, _Fixed(integers=offset, random=draw)
  )
  np.testing.assert_array_equal(found, expected)
  assert found.dtype == np.uint8


def test_crop_flip_draws_every_offset_and_both_directions():
  image = np.zeros((1, 8, 8, 3), np.uint8)
  image[0, 3, 4] = 255  # Where the crop puts it says how it was drawn.
  rng = np.random.default_rng(0)
  found = augmented(
      np.repeat(image, 2000, axis=0), 'crop_flip', 2, rng
  )
  places, counts = np.unique(
      np.argwhere(found[..., 0] == 255)[:, 1:], axis=0, return_counts=True
  )
  rows, columns = set(places[:, 0]), set(places[:, 1])
  assert rows == {1, 2, 3, 4, 5}
  # Column 4 moves by -2..2; mirrored, column 3 does.
  assert columns == {1, 2, 3, 4, 5, 6}
  assert counts.min() > 10


def test_resized_crop_of_everything_is_the_image():
  images = noise()
  rng = _Fixed(random=NO_FLIP, uniform=(1.0, 0.0))  # Area 1, log(aspect) 0.
  np.testing.assert_array_equal(
      augmented(images, 'resized_crop', 0, rng), images
  )


@pytest.mark.parametrize('draw', [NO_FLIP, FLIP])
def test_resized_crop_samples_between_pixels(draw):
  """Against bilinear sampling of one pixel at a time."""
  images = noise(side=6)
  area, ratio = 0.3, 1.2
  rng = _Fixed(random=draw, uniform=(area, np.log(ratio)))
  found = augmented(images, 'resized_crop', 0, rng)
  # 3 and 3.6 pixels, of which there are whole ones.
  height, width = 3, 4
  expected = np.empty(images.shape)
  for row in range(6):
    for column in range(6):
      y = int(draw * (7 - height)) + (row + 0.5) * height / 6 - 0.5
      x = int(draw * (7 - width)) + (column + 0.5) * width / 6 - 0.5
      expected[:, row, column] = _bilinear_pixel(images, y, x)
  if draw == FLIP:
    expected = expected[:, :, ::-1]
  np.testing.assert_allclose(found, expected, atol=1e-3)
  assert found.dtype == np.float32


def _bilinear_pixel(images, y, x):
  y, x = np.clip([y, x], 0, images.shape[1] - 1)
  top, left = int(y), int(x)
  bottom = min(top + 1, images.shape[1] - 1)
  right = min(left + 1, images.shape[2] - 1)
  v, u = y - top, x - left
  pixels = images.astype(float)
  return (
      (1 - v) * (1 - u) * pixels[:, top, left]
      + (1 - v) * u * pixels[:, top, right]
      + v * (1 - u) * pixels[:, bottom, left]
      + v * u * pixels[:, bottom, right]
  )


def test_resized_crop_stays_inside_the_image():
  """A ramp tells where each crop lies and how wide it is."""
  ramp = np.broadcast_to(
      np.arange(32, dtype=np.uint8)[None, None, :, None] * 8, (500, 32, 32, 3)
  )
  found = augmented(ramp, 'resized_crop', 0, np.random.default_rng(0))
  columns = found[:, 0, :, 0] / 8
  low, high = columns.min(1), columns.max(1)
  assert low.min() >= 0
  assert high.max() <= 31
  widths = (high - low) * 32 / 31
  assert widths.min() > 32 * np.sqrt(0.08 * 3 / 4) - 1.5
  assert widths.min() < 12
  assert widths.max() > 30


def areas_of(side, min_covered=0.0, count=20_000):
  """Shares of the image that random areas take."""
  sizes = augmentation._random_sizes(
      count, side, np.random.default_rng(0), min_covered
  )
  assert (sizes >= 1).all()
  assert (sizes <= side).all()
  assert (sizes == np.rint(sizes)).all()
  return sizes.prod(0) / side**2, sizes


@pytest.mark.parametrize(('side', 'mean'), [
    # Of torchvision's RandomResizedCrop, by its definition, over a million.
    (32, 0.490), (64, 0.484), (224, 0.480),
])
def test_resized_crop_takes_as_much_as_torchvision(side, mean):
  areas, _ = areas_of(side)
  assert abs(areas.mean() - mean) < 0.006


def test_areas_that_do_not_fit_are_drawn_again():
  """Cut to the image, one in seven would take a whole side."""
  _, sizes = areas_of(224)
  assert (sizes == 224).any(0).mean() < 0.02


def test_resized_crop_covers_what_it_must():
  areas, _ = areas_of(64, 0.0)
  assert areas.min() < 0.1
  areas, _ = areas_of(64, 0.3)
  assert areas.min() >= 0.3


def test_where_no_area_fits_the_whole_image_is_taken():
  images = noise()
  # Of a square, an area of all that is wider than high does not fit.
  rng = _Fixed(random=NO_FLIP, uniform=(1.0, np.log(4 / 3)))
  np.testing.assert_array_equal(
      augmented(images, 'resized_crop', 0, rng), images
  )


@pytest.mark.parametrize('kind', augmentation.AUGMENTATIONS)
def test_an_image_depends_on_its_own_numbers_alone(kind):
  images = noise(batch=9)
  done = augmentation.Augmentation(kind, 8, 2)
  drawn = done.draw(9, np.random.default_rng(0))
  whole = done.apply(images, drawn)
  for part in (slice(0, 3), slice(5, 9), slice(4, 4)):
    found = done.apply(images[part], drawn[part])
    np.testing.assert_array_equal(found, whole[part])
    assert found.dtype == whole.dtype
