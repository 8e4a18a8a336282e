"""Batches onto local devices, and JAX settings of a run."""

import os
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec

AXIS = 'devices'
"""Name of the pmapped axis."""


def replicate(tree: Any) -> Any:
  """Copies every leaf to all local devices.

  Laid out as pmapped steps over `AXIS` give their outputs: a step that is
  first called with another layout compiles twice.

  Args:
    tree: of NumPy arrays.

  Returns:
    Tree of arrays (devices, ...).
  """
  devices, sharding = jax.local_device_count(), split_over_devices()
  return jax.tree.map(
      lambda leaf: jax.device_put(np.stack([leaf] * devices), sharding), tree
  )


def unreplicate(tree: Any) -> Any:
  """Copies what the first local device holds to the host; compiles nothing.

  Args:
    tree: of arrays (devices, ...), as pmapped steps give them.

  Returns:
    Tree of NumPy arrays (...), which later steps leave alone.
  """
  parts = jax.device_get(
      jax.tree.map(lambda leaf: leaf.addressable_shards[0].data, tree)
  )
  return jax.tree.map(lambda part: np.array(part[0]), parts)


def split_over_devices() -> NamedSharding:
  """How arrays (devices, ...) lie that pmapped steps take and give."""
  return NamedSharding(Mesh(jax.local_devices(), (AXIS,)), PartitionSpec(AXIS))


def stand_in(shape: tuple[int, ...], dtype: Any) -> Any:
  """What a pmapped step can be compiled for in place of an argument.

  Args:
    shape: on one device.
    dtype: of the argument.

  Returns:
    A shape (devices, ...); zeros where several processes run, since pmap turns
    only arrays into parts of what all processes hold.
  """
  shape = (jax.local_device_count(), *shape)
  sharding = split_over_devices()
  if jax.process_count() > 1:
    return jax.device_put(np.zeros(shape, dtype), sharding)
  return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)


def shard(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Splits every array along its first axis over the local devices.

  Args:
    batch: arrays (batch, ...); the batch is divisible by the devices.

  Returns:
    Arrays (devices, batch / devices, ...).
  """
  devices = jax.local_device_count()
  return {
      name: array.reshape(devices, -1, *array.shape[1:])
      for name, array in batch.items()
  }


def wait_on_cpu(value: Any) -> None:
  """Blocks until `value` is computed, on the CPU backend only.

  Several CPU devices that run ahead of the host starve each other's
  collectives, and XLA then aborts the process.

  Args:
    value: output of a pmapped step.
  """
  if jax.default_backend() == 'cpu':
    jax.block_until_ready(value)


def enable_compilation_cache(directory: epath.PathLike) -> None:
  """Keeps compiled programs on disk, small and quickly compiled ones too.

  Args:
    directory: is made where it does not exist; a directory that the user chose
      (environment variable JAX_COMPILATION_CACHE_DIR) comes first.
  """
  if not os.environ.get('JAX_COMPILATION_CACHE_DIR'):
    jax.config.update('jax_compilation_cache_dir', str(directory))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)
