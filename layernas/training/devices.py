"""The devices of this process: what lies on them, and JAX's settings for them.

Steps are pmapped over the local devices. What they take and give lies on them
as arrays (devices, ...): state is replicated, batches are split, and are put
there before they are needed.
"""

import collections
import ctypes
import functools
import mmap
import os
import platform
import warnings
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from etils import epath
from jax.sharding import Mesh
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec

from layernas.data.dataset import MINUS_ONE_TO_ONE
from layernas.data.dataset import Batch
from layernas.data.dataset import Scaling
from layernas.models.network import AXIS
from layernas.training import images


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


def on_accelerator() -> bool:
  """Whether steps overwrite their state, and the host runs ahead of them.

  XLA's CPU backend copies what a step reads before it overwrites it.
  """
  return jax.default_backend() != 'cpu'


class Pace:
  """Keeps the host near its devices, which compute while it goes on.

  On accelerators it waits for the step before the last one: it would else put
  batches onto them until their memory is full. CPU devices that run ahead of
  the host starve each other's collectives, and XLA then aborts the process:
  there it waits for every step.
  """

  def __init__(self, wait: Callable[[Any], Any] = jax.block_until_ready):
    """Begins before the first step.

    Args:
      wait: for an array.
    """
    self._wait = wait
    self._ahead = on_accelerator()
    self._last: jax.Array | None = None

  def stepped(self, outputs: Any) -> None:
    """Comes after every step.

    Args:
      outputs: small ones of the step's, a tree; the next step may consume them.
    """
    if not self._ahead:
      self._wait(outputs)
      return
    # A copy on the device, which is made when the step is done.
    first = jax.tree.leaves(outputs)[0]
    mark = _copied(first.addressable_shards[0].data)
    if self._last is not None:
      self._wait(self._last)
    self._last = mark


_copied = jax.jit(jnp.copy)


AHEAD = 2
"""Batches on the devices that wait for their step: one would do if all batches
took equally long to make."""


def prefetch(
    batches: Iterable[Batch], ahead: int = AHEAD,
    scaling: Scaling = MINUS_ONE_TO_ONE,
) -> Iterator[dict[str, jax.Array]]:
  """Gives batches split over the local devices, and already there.

  Transfers run while earlier steps are computed. What devices do to images
  (`images.ready`) they do when a batch is given, so that it waits as bytes.

  Args:
    batches: of this host; their size is divisible by the local devices.
    ahead: batches that are under way beside the one given.
    scaling: of pixels that come as uint8.

  Yields:
    Arrays (devices, batch / devices, ...); images floating-point, scaled.
  """
  # Laid out as pmapped steps over the axis want it: they copy nothing.
  layout = split_over_devices()
  waiting: collections.deque[dict[str, jax.Array]] = collections.deque()
  for batch in batches:
    waiting.append(jax.device_put(shard(batch), layout))
    if len(waiting) > ahead:
      yield images.ready(waiting.popleft(), scaling)
  while waiting:
    yield images.ready(waiting.popleft(), scaling)


def stand_in_batch(
    example: Mapping[str, tuple[tuple[int, ...], Any]], batch_size: int
) -> dict[str, Any]:
  """What a step can be compiled for in place of a batch that `prefetch` gives.

  Args:
    example: as `Dataset.example` has it.
    batch_size: over all devices of all hosts.

  Returns:
    Stand-ins for the arrays of a batch.
  """
  size = batch_size // jax.device_count()
  return {
      name: stand_in((size, *shape), dtype)
      for name, (shape, dtype) in example.items()
  } | {'mask': stand_in((size,), np.float32)}


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
  # On a full disk, JAX would warn at each of them. What is not kept is compiled
  # again; what must be kept says in one line that it could not be.
  warnings.filterwarnings(
      'ignore', 'Error (reading|writing) persistent compilation cache entry'
  )


_RESERVED = 4 << 30
"""Bytes of address space at most; none is used before it is written to."""

_PART = 1 << 29
_LARGEST = (1 << 31) - 1

# Of <malloc.h> and <sys/mman.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_MADV_HUGEPAGE = 14


_DETERMINISTIC = '--xla_gpu_deterministic_ops=true'


def prepare(deterministic: bool) -> None:
  """Sets what JAX and XLA read when they look for devices.

  Comes before that: programs run in the thread that calls them from then on.

  Args:
    deterministic: whether GPUs are to give the same bits every time.
  """
  given = os.environ.get('XLA_FLAGS', '')
  if deterministic and _DETERMINISTIC not in given:
    os.environ['XLA_FLAGS'] = f'{given} {_DETERMINISTIC}'.strip()
  keep_freed_memory()


@functools.cache
def keep_freed_memory() -> None:
  """Keeps freed memory for the next step, in huge pages; CPU on Linux only.

  XLA takes the memory of a step anew at every step. glibc gives back what is
  large as soon as it is free, and the kernel then clears it page by page when
  it is used again: up to half of a step's time (docs/performance.md).

  Programs run in the thread that calls them from then on, whose memory glibc
  can keep as a whole. The process's memory does not shrink any more.
  """
  # Without effect on other backends.
  jax.config.update('jax_cpu_enable_async_dispatch', False)
  if jax.default_backend() != 'cpu' or platform.libc_ver()[0] != 'glibc':
    return
  libc = ctypes.CDLL(None)
  libc.malloc.restype = ctypes.c_void_p
  libc.malloc.argtypes = [ctypes.c_size_t]
  libc.free.argtypes = [ctypes.c_void_p]
  libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
  libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
  libc.mallopt(_M_TRIM_THRESHOLD, _LARGEST)
  libc.mallopt(_M_MMAP_MAX, 0)
  parts = [libc.malloc(_PART) for _ in range(_reserved() // _PART)]
  for part in filter(None, parts):
    begin = -(-part // mmap.PAGESIZE) * mmap.PAGESIZE
    size = (part + _PART - begin) // mmap.PAGESIZE * mmap.PAGESIZE
    libc.madvise(begin, size, _MADV_HUGEPAGE)
  for part in filter(None, parts):
    libc.free(part)
  logging.info('freed memory is kept, %d MiB in huge pages', _reserved() >> 20)


def _reserved() -> int:
  """At most a quarter of the machine's memory."""
  pages = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  return min(_RESERVED, pages // 4)
