"""Tests of layernas.training.devices."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

from layernas.training.devices import replicate
from layernas.training.devices import shard
from layernas.training.devices import stand_in
from layernas.training.devices import unreplicate
from layernas.training.devices import wait_on_cpu
from layernas.training.programs import compilations

_PROGRAM = """
import sys
import jax
from layernas.training.devices import enable_compilation_cache
enable_compilation_cache(sys.argv[1])
jax.jit(lambda x: x * 3 + 1)(2.0).block_until_ready()
"""


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


def test_waits_for_a_tree_of_arrays() -> None:
  value = jax.jit(lambda x: {'sum': x.sum()})(jnp.ones((64, 64)))
  wait_on_cpu(value)
  assert value['sum'].is_ready()


def test_small_programs_are_cached_on_disk(tmp_path, monkeypatch) -> None:
  cache = tmp_path / 'cache'
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')
  subprocess.run([sys.executable, '-c', _PROGRAM, cache], check=True)
  programs = {path.name for path in cache.iterdir() if 'lambda' in path.name}
  assert programs
  subprocess.run([sys.executable, '-c', _PROGRAM, cache], check=True)
  again = {path.name for path in cache.iterdir() if 'lambda' in path.name}
  assert again == programs


def test_the_users_cache_comes_first(tmp_path, monkeypatch) -> None:
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(tmp_path / 'users'))
  command = [sys.executable, '-c', _PROGRAM, str(tmp_path / 'ours')]
  subprocess.run(command, check=True)
  assert list((tmp_path / 'users').iterdir())
  assert not (tmp_path / 'ours').exists()


def test_programs_are_cached_in_a_bucket(bucket, monkeypatch) -> None:
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')
  command = [sys.executable, '-c', _PROGRAM, f'{bucket.url}/cache']
  subprocess.run(command, check=True)
  programs = dict(bucket.objects)
  assert bucket.names(r'cache/.*lambda.*')
  subprocess.run(command, check=True)
  assert bucket.objects == programs
