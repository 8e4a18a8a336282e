"""Lets a process on CPU keep the memory that it frees.

XLA takes the memory of a step anew at every step. glibc gives back what is
large as soon as it is free, and the kernel then clears it page by page when it
is used again: up to half of a step's time (docs/performance.md).
"""

import ctypes
import functools
import mmap
import os
import platform

import jax
from absl import logging

_RESERVED = 4 << 30
"""Bytes of address space at most; none is used before it is written to."""

_PART = 1 << 29
_LARGEST = (1 << 31) - 1

# Of <malloc.h> and <sys/mman.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_MADV_HUGEPAGE = 14


@functools.cache
def keep_freed_memory() -> None:
  """Keeps freed memory for the next step, in huge pages; CPU on Linux only.

  Comes before JAX looks for devices: programs run in the thread that calls them
  from then on, whose memory glibc can keep as a whole. The process's memory
  does not shrink any more.
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
