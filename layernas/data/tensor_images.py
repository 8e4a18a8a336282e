"""One image at a time in TensorFlow: decoding, resizing, augmentation."""

from collections.abc import Callable

import tensorflow as tf

from layernas.data import augmentation
from layernas.data.dataset import MINUS_ONE_TO_ONE
from layernas.data.dataset import Scaling
from layernas.data.preparation import PNG
from layernas.data.preparation import PNG_DEPTH
from layernas.data.preparation import Preparation
from layernas.data.preparation import unused_bits

_EXACT = 'INTEGER_ACCURATE'
"""No slower here; TensorFlow's default is off by up to 42 of 255 in files of
the best quality."""

_MARGIN = 1
"""Pixels decoded around a window. Colours of most JPEG files are stored at half
the resolution; without their neighbours those at its border come out wrong."""

Window = tuple[tf.Tensor, tf.Tensor]
"""Top and left, height and width of a part of an image, pixels, int32 (2,)."""

Choose = Callable[[tf.Tensor], Window]
"""From an image's height and width, int32 (2,), to a part of it."""


def decode_window(
    encoded: tf.Tensor, choose: Choose, bits: int = 0
) -> tf.Tensor:
  """Decodes a part of a JPEG or PNG file; grey is repeated, alpha dropped.

  Of a JPEG file, pixels outside of the part are not computed; those inside are
  the same as in the whole image, to the bit.

  Args:
    encoded: string, shape (): bytes of the file.
    choose: the part.
    bits: see `Preparation`.

  Returns:
    The part, uint8 (height, width, 3).
  """

  def jpeg() -> tf.Tensor:
    shape = tf.io.extract_jpeg_shape(encoded)[:2]
    corner, size = choose(shape)
    begin = tf.maximum(corner - _MARGIN, 0)
    end = tf.minimum(corner + size + _MARGIN, shape)
    image = tf.io.decode_and_crop_jpeg(
        encoded, tf.concat([begin, end - begin], 0), 3, dct_method=_EXACT
    )
    return _cut(image, corner - begin, size)

  def other() -> tf.Tensor:
    image = tf.cond(
        _is_deep(encoded), lambda: _decode_deep(encoded, bits),
        lambda: tf.io.decode_image(encoded, 3, expand_animations=False),
    )
    return _cut(image, *choose(tf.shape(image)[:2]))

  part = tf.cond(tf.io.is_jpeg(encoded), jpeg, other)
  part.set_shape((None, None, 3))
  return part


def whole(shape: tf.Tensor) -> Window:
  """Chooses all of an image."""
  return tf.zeros_like(shape), shape


def central(encoded: tf.Tensor, preparation: Preparation) -> tf.Tensor:
  """The square at the centre of an image, as evaluation sees it.

  Args:
    encoded: string, shape (): bytes of a JPEG or PNG file.
    preparation: its augmentation is that of training.

  Returns:
    float32, shape (size, size, 3): 0..255, and a little beyond at sharp edges.
  """
  window = decode_window(
      encoded, _central_window(preparation.central_share), preparation.bits
  )
  return resize(window, preparation.size)


def augment(
    encoded: tf.Tensor, preparation: Preparation, key: tf.Tensor
) -> tf.Tensor:
  """Augments one image; as `augmentation.Augmentation`, from its full size.

  Args:
    encoded: string, shape (): bytes of a JPEG or PNG file.
    preparation: what to do.
    key: random integers, int64 (3,); the result depends on nothing else.

  Returns:
    float32, shape (size, size, 3): 0..255, and a little beyond at sharp edges.
  """
  crop_seed, flipped = key[:2], key[2] % 2 == 1
  size, kind, padding = preparation.size, preparation.kind, preparation.padding
  if kind == 'resized_crop':
    choose = random_window(crop_seed, preparation)
  else:
    choose = _central_window(1.0)
  image = resize(decode_window(encoded, choose, preparation.bits), size)
  if kind == 'crop_flip':
    image = tf.pad(image, [(padding, padding), (padding, padding), (0, 0)])
    image = tf.image.stateless_random_crop(image, (size, size, 3), crop_seed)
  if kind == 'none':
    return image
  return tf.cond(flipped, lambda: tf.reverse(image, [1]), lambda: image)


def resize(image: tf.Tensor, size: int) -> tf.Tensor:
  """Bicubic; every pixel of a larger image counts.

  TensorFlow's filter against aliasing takes as long as decoding, so it is used
  only where the image shrinks by more than two: up to there the four pixels
  that a bicubic one is made of leave none out. The MobileNet recipe never
  filters.

  Args:
    image: uint8, shape (height, width, 3).
    size: side of the result, pixels.

  Returns:
    float32, shape (size, size, 3): 0..255, and a little beyond at sharp edges.
  """
  # The kernel for float32 takes half the time of that for uint8.
  pixels = tf.cast(image, tf.float32)[tf.newaxis]
  side = tf.constant((size, size))

  def filtered() -> tf.Tensor:
    return tf.image.resize(pixels, side, 'bicubic', antialias=True)

  def plain() -> tf.Tensor:
    return tf.raw_ops.ResizeBicubic(
        images=pixels, size=side, half_pixel_centers=True
    )

  shrinks = tf.reduce_max(tf.shape(image)[:2]) > 2 * size
  resized = tf.cond(shrinks, filtered, plain)
  return tf.ensure_shape(resized, (1, size, size, 3))[0]


def to_transfer(
    pixels: tf.Tensor, transfer: str, scaling: Scaling = MINUS_ONE_TO_ONE
) -> tf.Tensor:
  """As `dataset.to_transfer`, for a tensor; clips what bicubic overshoots.

  Args:
    pixels: float32; values outside of 0..255 are clipped.
    transfer: one of `dataset.TRANSFERS`.
    scaling: of other types than uint8.

  Returns:
    The same shape.
  """
  if transfer == 'uint8':
    # Clips, rounds and casts in one pass over the pixels.
    levels, *_ = tf.raw_ops.QuantizeV2(
        input=pixels, min_range=0.0, max_range=255.0, T=tf.quint8,
        mode='MIN_COMBINED',
    )
    return tf.bitcast(levels, tf.uint8)
  clipped = tf.raw_ops.ClipByValue(
      t=pixels, clip_value_min=0.0, clip_value_max=255.0
  )
  return tf.cast(scaling(clipped), transfer)


def _cut(image: tf.Tensor, corner: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """A part of an image (height, width, 3)."""
  return tf.slice(
      image, tf.concat([corner, [0]], 0), tf.concat([size, [3]], 0)
  )


def _is_deep(encoded: tf.Tensor) -> tf.Tensor:
  """Whether these are bytes of a PNG file of 16 bits a value."""
  head = tf.strings.substr(encoded, 0, PNG_DEPTH + 1)
  padded = tf.strings.join([head, b'\0' * (PNG_DEPTH + 1)])
  return tf.logical_and(
      tf.equal(tf.strings.substr(padded, 0, len(PNG)), PNG),
      tf.equal(tf.strings.substr(padded, PNG_DEPTH, 1), b'\x10'),
  )


def _decode_deep(encoded: tf.Tensor, bits: int) -> tf.Tensor:
  """Decodes 16 bits a value to 8; see `unused_bits`."""
  values = tf.cast(tf.io.decode_png(encoded, 3, tf.uint16), tf.int32)
  unused = unused_bits(tf.reduce_max(values), bits, tf.where)
  levels = tf.bitwise.right_shift(values, unused)
  return tf.cast(tf.minimum(levels, 255), tf.uint8)


def _central_window(share: float) -> Choose:

  def choose(shape: tf.Tensor) -> Window:
    shorter = tf.cast(tf.reduce_min(shape), tf.float32)
    side = tf.maximum(tf.cast(tf.round(share * shorter), tf.int32), 1)
    return (shape - side) // 2, tf.stack([side, side])

  return choose


def random_window(seed: tf.Tensor, preparation: Preparation) -> Choose:
  """A random area; where ten trials fit none, the config's fallback."""

  def choose(shape: tf.Tensor) -> Window:
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.concat([shape, [3]], 0),
        tf.zeros((1, 0, 4)),  # No box: the whole image is what is covered.
        seed,
        min_object_covered=preparation.min_covered,
        area_range=augmentation.AREA,
        aspect_ratio_range=augmentation.ASPECT,
        max_attempts=augmentation.TRIES,
        use_image_if_no_bounding_boxes=True,
    )
    begin, size = begin[:2], size[:2]
    if preparation.fallback == 'whole':
      return begin, size
    # Where none fits, the operation gives the whole image.
    none = tf.reduce_all(tf.equal(size, shape))
    corner, side = _central_window(preparation.central_share)(shape)
    return tf.where(none, corner, begin), tf.where(none, side, size)

  return choose
