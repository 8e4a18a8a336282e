"""Puts batches on the local devices before they are needed."""

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from layernas.data.dataset import Batch
from layernas.data.transfer import TRANSFERS
from layernas.data.transfer import scale
from layernas.training.devices import shard
from layernas.training.devices import split_over_devices
from layernas.training.devices import stand_in

AHEAD = 2
"""Batches on the devices that wait for their step: one would do if all batches
took equally long to make."""


def prefetch(
    batches: Iterable[Batch], ahead: int = AHEAD
) -> Iterator[dict[str, jax.Array]]:
  """Gives batches split over the local devices, and already there.

  Transfers run while earlier steps are computed. Pixels that come as uint8 are
  scaled on the devices.

  Args:
    batches: of this host; their size is divisible by the local devices.
    ahead: batches that are under way beside the one given.

  Yields:
    Arrays (devices, batch / devices, ...); images floating-point, -1..1.
  """
  waiting: collections.deque[dict[str, jax.Array]] = collections.deque()
  for batch in batches:
    waiting.append(_to_devices(batch))
    if len(waiting) > ahead:
      yield waiting.popleft()
  while waiting:
    yield waiting.popleft()


def stand_in_batch(
    image_size: int, transfer: str, batch_size: int
) -> dict[str, Any]:
  """What a step can be compiled for in place of a batch that `prefetch` gives.

  Args:
    image_size: side of the images in pixels.
    transfer: one of `TRANSFERS`, as which they leave the host.
    batch_size: over all devices of all hosts.

  Returns:
    Stand-ins for the arrays of a batch.
  """
  size = batch_size // jax.device_count()
  # Bytes are scaled on the device.
  pixels = np.float32 if transfer == 'uint8' else TRANSFERS[transfer]
  return {
      'image': stand_in((size, image_size, image_size, 3), pixels),
      'label': stand_in((size,), np.int32),
      'mask': stand_in((size,), np.float32),
  }


def _to_devices(batch: Batch) -> dict[str, jax.Array]:
  # Laid out as pmapped steps over the axis want it: they copy nothing.
  placed = jax.device_put(shard(batch), split_over_devices())
  if batch['image'].dtype == np.uint8:
    placed['image'] = _scaled(placed['image'])
  return placed


@jax.jit
def _scaled(images: jax.Array) -> jax.Array:
  return scale(images.astype(jnp.float32))
