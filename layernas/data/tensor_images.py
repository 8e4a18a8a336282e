"""One image at a time in TensorFlow: decoding, resizing, augmentation."""

import tensorflow as tf

from layernas.data import augmentation

CENTRAL_SHARE = 224 / 256
"""Share of the shorter side that evaluation sees after training with
'resized_crop', whose crops enlarge objects as much (Szegedy et al., 2015)."""


def decode(encoded: tf.Tensor) -> tf.Tensor:
  """Bytes of a JPEG or PNG file to uint8 (height, width, 3); grey is repeated.

  Args:
    encoded: string, shape ().

  Returns:
    The image.
  """
  image = tf.cond(
      tf.io.is_jpeg(encoded),
      # Its default is off by up to 42 of 255 in files of the best quality.
      lambda: tf.io.decode_jpeg(encoded, 3, dct_method='INTEGER_ACCURATE'),
      lambda: tf.io.decode_image(encoded, 3, expand_animations=False),
  )
  image.set_shape((None, None, 3))
  return image


def central(image: tf.Tensor, size: int, kind: str) -> tf.Tensor:
  """The square at the centre of an image, as evaluation sees it.

  Args:
    image: uint8, shape (height, width, 3).
    size: side of the result, pixels.
    kind: the augmentation in training, one of `augmentation.AUGMENTATIONS`.

  Returns:
    float32 in 0..255, shape (size, size, 3).
  """
  share = CENTRAL_SHARE if kind == 'resized_crop' else 1.0
  shape = tf.shape(image)[:2]
  shorter = tf.cast(tf.reduce_min(shape), tf.float32)
  side = tf.maximum(tf.cast(tf.round(share * shorter), tf.int32), 1)
  top, left = tf.unstack((shape - side) // 2)
  return resize(tf.image.crop_to_bounding_box(image, top, left, side, side),
                size)


def augment(
    image: tf.Tensor, size: int, kind: str, padding: int, seed: tf.Tensor
) -> tf.Tensor:
  """Augments one image; as `augmentation.augment`, but from its full size.

  Args:
    image: uint8, shape (height, width, 3).
    size: side of the result, pixels.
    kind: one of `augmentation.AUGMENTATIONS`.
    padding: pixels at each border that 'crop_flip' adds.
    seed: int64, shape (2,); the result depends on nothing else.

  Returns:
    float32 in 0..255, shape (size, size, 3).
  """
  crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
  if kind == 'resized_crop':
    image = resize(_random_area(image, crop_seed), size)
  else:
    image = central(image, size, kind)
  if kind == 'crop_flip':
    image = tf.pad(image, [(padding, padding), (padding, padding), (0, 0)])
    image = tf.image.stateless_random_crop(image, (size, size, 3), crop_seed)
  if kind != 'none':
    image = tf.image.stateless_random_flip_left_right(image, flip_seed)
  return image


def resize(image: tf.Tensor, size: int) -> tf.Tensor:
  """Bicubic, every pixel of a larger image counting.

  Args:
    image: uint8, shape (height, width, 3).
    size: side of the result, pixels.

  Returns:
    float32 in 0..255, shape (size, size, 3).
  """
  image = tf.image.resize(image, (size, size), 'bicubic', antialias=True)
  return tf.clip_by_value(image, 0.0, 255.0)


def _random_area(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
  """Cuts out a random area; the whole image where ten trials fit none."""
  begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
      tf.shape(image),
      tf.zeros((1, 0, 4)),  # No box to keep in view.
      seed,
      min_object_covered=0.0,
      area_range=augmentation.AREA,
      aspect_ratio_range=augmentation.ASPECT,
      max_attempts=10,
      use_image_if_no_bounding_boxes=True,
  )
  return tf.slice(image, begin, size)
