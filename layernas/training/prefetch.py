"""Puts batches on the local devices before they are needed."""

import collections
from collections.abc import Iterable
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec

from layernas.data.dataset import Batch
from layernas.data.transfer import scale
from layernas.training.devices import AXIS
from layernas.training.devices import shard

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


def _to_devices(batch: Batch) -> dict[str, jax.Array]:
  # Laid out as pmapped steps over the axis want it: they copy nothing.
  mesh = Mesh(jax.local_devices(), (AXIS,))
  sharding = NamedSharding(mesh, PartitionSpec(AXIS))
  placed = jax.device_put(shard(batch), sharding)
  if batch['image'].dtype == np.uint8:
    placed['image'] = _scaled(placed['image'])
  return placed


@jax.jit
def _scaled(images: jax.Array) -> jax.Array:
  return scale(images.astype(jnp.float32))
