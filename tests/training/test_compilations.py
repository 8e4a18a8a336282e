"""Tests of layernas.training.programs."""

import subprocess
import sys

_PROGRAM = """
import sys
import jax
from layernas.training.programs import compilations
from layernas.training.devices import enable_compilation_cache
enable_compilation_cache(sys.argv[1])
step = jax.jit(lambda x: x * 3 + 1)
counts = [compilations()]
for x in (1.5, 2.5, 3):
  step(x).block_until_ready()
  counts.append(compilations())
print(counts)
"""


def _counts(cache) -> list[int]:
  done = subprocess.run(
      [sys.executable, '-c', _PROGRAM, cache], capture_output=True, text=True,
      check=True,
  )
  return [int(count) for count in done.stdout.strip('[]\n').split(',')]


def test_what_the_cache_holds_is_not_compiled(tmp_path, monkeypatch) -> None:
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')
  # The second call has the first one's shapes, the third has another type.
  assert _counts(tmp_path) == [0, 1, 1, 2]
  assert _counts(tmp_path) == [0, 0, 0, 0]
