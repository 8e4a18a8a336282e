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
  devices = jax.local_devices()
  sharding = NamedSharding(Mesh(devices, (AXIS,)), PartitionSpec(AXIS))
  return jax.tree.map(
      lambda leaf: jax.device_put(np.stack([leaf] * len(devices)), sharding),
      tree,
  )


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
