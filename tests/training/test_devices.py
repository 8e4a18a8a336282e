"""What lies on the devices, and JAX's settings for them."""

import os
import platform
import subprocess
import sys

import jax
import numpy as np
import pytest

from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import Scaling
from layernas.data.dataset import to_transfer
from layernas.training.devices import AHEAD
from layernas.training.devices import Pace
from layernas.training.devices import prefetch
from layernas.training.devices import replicate
from layernas.training.devices import shard
from layernas.training.devices import stand_in
from layernas.training.devices import stand_in_batch
from layernas.training.devices import unreplicate
from layernas.training.programs import compilations


def test_shards_in_order(monkeypatch) -> None:
  monkeypatch.setattr(jax, 'local_device_count', lambda: 4)
  batch = {
      'image': np.arange(8 * 2 * 2 * 3).reshape(8, 2, 2, 3),
      'label': np.arange(8),
  }
  parts = shard(batch)
  assert parts['image'].shape == (4, 2, 2, 2, 3)
  assert parts['label'].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
  np.testing.assert_array_equal(parts['image'][3], batch['image'][6:])


def test_unreplicate_gives_copies_on_the_host() -> None:
  tree = {
      'count': np.int32(3), 'kernel': np.arange(6, dtype=np.float32)[None]
  }
  replicated = replicate(tree)
  before = compilations()
  copied = unreplicate(replicated)
  assert compilations() == before
  jax.tree.map(np.testing.assert_array_equal, copied, tree)
  for leaf in jax.tree.leaves(replicated):
    leaf.delete()
  copied['kernel'] += 1
  assert copied['kernel'].tolist() == [[1, 2, 3, 4, 5, 6]]


def test_a_stand_in_is_what_replicate_gives() -> None:
  given = replicate(np.zeros((2, 3), np.int32))
  stand = stand_in((2, 3), np.int32)
  assert (stand.shape, stand.dtype) == (given.shape, given.dtype)
  assert stand.sharding == given.sharding


def _batches(made, transfer='float32', count=7):
  """Numbered batches of two images a device; notes each that is made."""
  size = 2 * jax.local_device_count()
  for number in range(count):
    made.append(number)
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (size, 4, 4, 3), np.uint8)
    yield {
        'image': to_transfer(pixels, transfer),
        'label': np.full(size, number, np.int32),
        'mask': np.ones(size, np.float32),
    }


@pytest.mark.parametrize('transfer', TRANSFERS)
def test_batches_come_in_order_split_over_the_devices(transfer) -> None:
  found = list(prefetch(_batches([], transfer)))
  expected = list(_batches([], transfer))
  assert len(found) == len(expected)
  for one, other in zip(found, expected, strict=True):
    assert one.keys() == other.keys()
    for name in ('label', 'mask'):
      np.testing.assert_array_equal(one[name], shard(other)[name])
    assert all(isinstance(array, jax.Array) for array in one.values())
    assert len(one['image'].devices()) == jax.local_device_count()


@pytest.mark.parametrize('transfer', TRANSFERS)
def test_pixels_are_minus_one_to_one_whatever_their_type(transfer) -> None:
  found = next(prefetch(_batches([], transfer)))['image']
  exact = shard(next(_batches([])))['image']
  np.testing.assert_allclose(
      np.asarray(found, np.float32), exact,
      atol=1 / 256 if transfer == 'bfloat16' else 1e-6,
  )
  assert found.dtype != np.uint8


@pytest.mark.parametrize('ahead', [0, 1, AHEAD])
def test_so_many_batches_are_made_ahead(ahead) -> None:
  made = []
  given = prefetch(_batches(made), ahead)
  for number in range(3):
    next(given)
    assert made == list(range(number + 1 + ahead))
  assert len(list(given)) == 4


@pytest.mark.parametrize('transfer', TRANSFERS)
def test_stand_ins_are_like_batches(transfer) -> None:
  batch = next(prefetch(_batches([], transfer)))
  pixels = 'float32' if transfer == 'uint8' else transfer
  stand_ins = stand_in_batch({
      'image': ((4, 4, 3), TRANSFERS[pixels]), 'label': ((), np.int32),
  }, 2 * jax.device_count())
  assert stand_ins.keys() == batch.keys()
  for name, found in stand_ins.items():
    array = batch[name]
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    assert found.sharding.is_equivalent_to(array.sharding, array.ndim)


_CACHING = """
import sys
import jax
from layernas.training.devices import enable_compilation_cache
from layernas.training.programs import compilations
enable_compilation_cache(sys.argv[1])
step = jax.jit(lambda x: x * 3 + 1)
counts = [compilations()]
for x in (1.5, 2.5, 3):
  step(x).block_until_ready()
  counts.append(compilations())
print(counts)
"""


def _counts(cache) -> list[int]:
  """Programs compiled so far, at first and after each of three calls."""
  done = subprocess.run(
      [sys.executable, '-c', _CACHING, cache], capture_output=True, text=True,
      check=True,
  )
  return [int(count) for count in done.stdout.strip('[]\n').split(',')]


@pytest.mark.long
def test_what_the_cache_holds_is_not_compiled(tmp_path, monkeypatch) -> None:
  """Small programs too, wherever the user wants them."""
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(tmp_path / 'users'))
  # The second call has the first one's shapes, the third has another type.
  assert _counts(tmp_path / 'ours') == [0, 1, 1, 2]
  assert not (tmp_path / 'ours').exists()
  # The same programs, where the user says nothing.
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')
  assert _counts(tmp_path / 'users') == [0, 0, 0, 0]


_REPLACED = """
import os, shutil, sys
import jax
from layernas.training.devices import enable_compilation_cache
enable_compilation_cache(sys.argv[1])
jax.jit(lambda x: x + 1)(1.5).block_until_ready()
shutil.rmtree(sys.argv[1])
os.mknod(sys.argv[1])
print(jax.jit(lambda x: x * 3)(1.5))
"""


@pytest.mark.long
def test_a_cache_that_cannot_be_written_does_not_count(
    tmp_path, monkeypatch
) -> None:
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR', raising=False)
  done = subprocess.run(
      [sys.executable, '-c', _REPLACED, tmp_path / 'cache'],
      capture_output=True, text=True, check=True,
  )
  assert (done.stdout, done.stderr) == ('4.5\n', '')


@pytest.mark.long
def test_programs_are_cached_in_a_bucket(bucket, monkeypatch) -> None:
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')
  assert _counts(f'{bucket.url}/cache') == [0, 1, 1, 2]
  assert bucket.names(r'cache/.*lambda.*')
  assert _counts(f'{bucket.url}/cache') == [0, 0, 0, 0]


_REPEATING = """
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
      [sys.executable, '-c', _REPEATING, argument], check=True, text=True,
      capture_output=True, env=os.environ | {'JAX_PLATFORMS': 'cpu'},
  )
  return int(done.stdout)


@pytest.mark.long
@pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='the allocator of glibc'
)
def test_a_repeated_program_touches_no_new_pages() -> None:
  assert _faults('keep') < 1_000
  # 40 MB of 4 KiB pages at least, so that the number above means something.
  assert _faults('give back') > 9_000


def test_bytes_are_scaled_on_the_device_as_the_data_set_says():
  scaling = Scaling((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
  batch = next(prefetch(_batches([], 'uint8'), scaling=scaling))['image']
  plain = next(prefetch(_batches([], 'uint8')))['image']
  expected = ((np.asarray(plain) + 1) / 2 - scaling.mean) / scaling.deviation
  np.testing.assert_allclose(batch, expected, atol=1e-5)


@pytest.mark.parametrize(('backend', 'behind'), [('cpu', 0), ('gpu', 1)])
def test_the_host_waits_for_a_step(monkeypatch, backend, behind):
  """On accelerators for that before the last one, whose state is gone."""
  monkeypatch.setattr(jax, 'default_backend', lambda: backend)
  waited = []

  def wait(outputs):
    [value] = jax.tree.leaves(outputs)
    waited.append(int(np.ravel(value)[0]))

  pace = Pace(wait)
  for step in range(5):
    output = replicate(np.int32(step))
    pace.stepped({'step': output})
    assert waited == list(range(step + 1 - behind))
    output.delete()
