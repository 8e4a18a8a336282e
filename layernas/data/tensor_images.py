"""One image at a time in TensorFlow: decoding, resizing, augmentation."""

from collections.abc import Callable

import tensorflow as tf

from layernas.data import augmentation
from layernas.data.dataset import scale

CENTRAL_SHARE = 224 / 256
"""Share of the shorter side that evaluation sees after training with
'resized_crop', whose crops enlarge objects as much (Szegedy et al., 2015)."""

_EXACT = 'INTEGER_ACCURATE'
"""No slower here; TensorFlow's default is off by up to 42 of 255 in files of
the best quality."""

_MARGIN = 1
"""Pixels decoded around a window. Colours of most JPEG files are stored at half
the resolution; without their neighbours those at its border come out wrong."""

Window = tuple[tf.Tensor, tf.Tensor]
"""Top and left, height and width of a part of an image, pixels, int32 (2,)."""


def decode_window(
    encoded: tf.Tensor, choose: Callable[[tf.Tensor], Window]
) -> tf.Tensor:
  """Decodes a part of a JPEG or PNG file; grey is repeated.

  Of a JPEG file, pixels outside of the part are not computed; those inside are
  the same as in the whole image, to the bit.

  Args:
    encoded: string, shape (): bytes of the file.
    choose: from the image's height and width, int32 (2,), to the part.

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
    image = tf.io.decode_image(encoded, 3, expand_animations=False)
    return _cut(image, *choose(tf.shape(image)[:2]))

  part = tf.cond(tf.io.is_jpeg(encoded), jpeg, other)
  part.set_shape((None, None, 3))
  return part


def central(encoded: tf.Tensor, size: int, kind: str) -> tf.Tensor:
  """The square at the centre of an image, as evaluation sees it.

  Args:
    encoded: string, shape (): bytes of a JPEG or PNG file.
    size: side of the result, pixels.
    kind: the augmentation in training, one of `augmentation.AUGMENTATIONS`.

  Returns:
    float32, shape (size, size, 3): 0..255, and a little beyond at sharp edges.
  """
  return resize(decode_window(encoded, _central_window(kind)), size)


def augment(
    encoded: tf.Tensor, size: int, kind: str, padding: int, key: tf.Tensor
) -> tf.Tensor:
  """Augments one image; as `augmentation.augment`, but from its full size.

  Args:
    encoded: string, shape (): bytes of a JPEG or PNG file.
    size: side of the result, pixels.
    kind: one of `augmentation.AUGMENTATIONS`.
    padding: pixels at each border that 'crop_flip' adds.
    key: random integers, int64 (3,); the result depends on nothing else.

  Returns:
    float32, shape (size, size, 3): 0..255, and a little beyond at sharp edges.
  """
  crop_seed, flipped = key[:2], key[2] % 2 == 1
  if kind == 'resized_crop':
    choose = random_window(crop_seed)
  else:
    choose = _central_window(kind)
  image = resize(decode_window(encoded, choose), size)
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


def to_transfer(pixels: tf.Tensor, transfer: str) -> tf.Tensor:
  """As `dataset.to_transfer`, for a tensor; clips what bicubic overshoots.

  Args:
    pixels: float32; values outside of 0..255 are clipped.
    transfer: one of `dataset.TRANSFERS`.

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
  return tf.cast(scale(clipped), transfer)


def _cut(image: tf.Tensor, corner: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
  """A part of an image (height, width, 3)."""
  return tf.slice(
      image, tf.concat([corner, [0]], 0), tf.concat([size, [3]], 0)
  )


def _central_window(kind: str) -> Callable[[tf.Tensor], Window]:
  share = CENTRAL_SHARE if kind == 'resized_crop' else 1.0

  def choose(shape: tf.Tensor) -> Window:
    shorter = tf.cast(tf.reduce_min(shape), tf.float32)
    side = tf.maximum(tf.cast(tf.round(share * shorter), tf.int32), 1)
    return (shape - side) // 2, tf.stack([side, side])

  return choose


def random_window(seed: tf.Tensor) -> Callable[[tf.Tensor], Window]:
  """A random area; the whole image where ten trials fit none."""

  def choose(shape: tf.Tensor) -> Window:
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.concat([shape, [3]], 0),
        tf.zeros((1, 0, 4)),  # No box to keep in view.
        seed,
        min_object_covered=0.0,
        area_range=augmentation.AREA,
        aspect_ratio_range=augmentation.ASPECT,
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    return begin[:2], size[:2]

  return choose
