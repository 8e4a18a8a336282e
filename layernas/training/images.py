"""What devices do to the images of a batch before its step: move and scale.

These are programs of their own, compiled once for all networks of a search. As
parts of a network's step, or as one, XLA would round as it does there: so the
pixels are the same to the bit whatever is trained on them, and whether the host
has moved them or the devices.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from layernas.data.dataset import Scaling
from layernas.data.dataset import to_transfer


def ready(
    batch: dict[str, jax.Array], scaling: Scaling
) -> dict[str, jax.Array]:
  """A batch as steps take it.

  Args:
    batch: arrays (devices, batch / devices, ...), already there. With images,
      it may have 'augmentation', by which they are cropped and mirrored.
    scaling: of pixels; those of uint8 are scaled here.

  Returns:
    The batch without 'augmentation', images floating-point.
  """
  if 'image' not in batch:
    return batch
  others = dict(batch)
  images, drawn = others.pop('image'), others.pop('augmentation', None)
  if drawn is not None:
    images = moved(images, drawn, scaling)
  if images.dtype == np.uint8:
    images = _scaled(images, scaling)
  return {'image': images, **others}


@functools.partial(jax.jit, static_argnames='scaling')
def moved(
    images: jax.Array, drawn: jax.Array, scaling: Scaling
) -> jax.Array:
  """Crops and mirrors images; every device its own.

  Args:
    images: (devices, n, side, side, 3) of a type in `data.dataset.TRANSFERS`.
    drawn: int32 (devices, n, 3), see `data.augmentation.Augmentation.draw`.
    scaling: of pixels that are not uint8.

  Returns:
    The same shape and type.
  """
  # What the host pads images with, as it would leave the host.
  outside = to_transfer(np.zeros(3, np.uint8), images.dtype.name, scaling)
  move = functools.partial(_moved, outside=outside)
  return jax.vmap(jax.vmap(move))(images, drawn)


def _moved(
    image: jax.Array, drawn: jax.Array, outside: np.ndarray
) -> jax.Array:
  down, right, flip = drawn
  places = jnp.arange(len(image))
  rows, columns = places + down, jnp.where(flip == 1, places[::-1], places)
  rows, columns = rows[:, None], (columns + right)[None, :]
  near_rows, near_columns = (
      jnp.clip(each, 0, len(image) - 1) for each in (rows, columns)
  )
  within = (rows == near_rows) & (columns == near_columns)
  return jnp.where(within[..., None], image[near_rows, near_columns], outside)


@functools.partial(jax.jit, static_argnames='scaling')
def _scaled(images: jax.Array, scaling: Scaling) -> jax.Array:
  return scaling(images.astype(jnp.float32))
