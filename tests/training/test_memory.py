"""Memory that was freed is not cleared again."""

import os
import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys
import jax, jax.numpy as jnp, numpy as np
from layernas.training.devices import keep_freed_memory
if sys.argv[1] == 'keep':
  keep_freed_memory()
double = jax.jit(lambda x: jnp.cumsum(x[::-1])[::-1] + x)
x = jnp.ones(10_000_000)
touched = []
for _ in range(8):
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  double(x).block_until_ready()
  touched.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
# On a busy machine one call may begin before the memory of the last is free.
print(min(touched[3:]))
"""


def _faults(argument: str) -> int:
  """Pages that a call touches for the first time, the fewest of the last."""
  done = subprocess.run(
      [sys.executable, '-c', _PROGRAM, argument], check=True, text=True,
      capture_output=True, env=os.environ | {'JAX_PLATFORMS': 'cpu'},
  )
  return int(done.stdout)


@pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='the allocator of glibc'
)
def test_a_repeated_program_touches_no_new_pages() -> None:
  assert _faults('keep') < 1_000
  # 40 MB of 4 KiB pages at least, so that the number above means something.
  assert _faults('give back') > 9_000
