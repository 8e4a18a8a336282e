"""Batches on the devices ahead of their steps."""

import itertools

import jax
import numpy as np
import pytest

from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import to_transfer
from layernas.training.devices import AHEAD
from layernas.training.devices import prefetch
from layernas.training.devices import shard
from layernas.training.devices import stand_in_batch


def batches(made, transfer='float32', count=7):
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
  found = list(prefetch(batches([], transfer)))
  expected = list(batches([], transfer))
  assert len(found) == len(expected)
  for one, other in zip(found, expected, strict=True):
    assert one.keys() == other.keys()
    for name in ('label', 'mask'):
      np.testing.assert_array_equal(one[name], shard(other)[name])
    assert all(isinstance(array, jax.Array) for array in one.values())
    assert len(one['image'].devices()) == jax.local_device_count()


@pytest.mark.parametrize('transfer', TRANSFERS)
def test_pixels_are_minus_one_to_one_whatever_their_type(transfer) -> None:
  found = next(prefetch(batches([], transfer)))['image']
  exact = shard(next(batches([])))['image']
  np.testing.assert_allclose(
      np.asarray(found, np.float32), exact,
      atol=1 / 256 if transfer == 'bfloat16' else 1e-6,
  )
  assert found.dtype != np.uint8


@pytest.mark.parametrize('ahead', [0, 1, AHEAD])
def test_so_many_batches_are_made_ahead(ahead) -> None:
  made = []
  given = prefetch(batches(made), ahead)
  for number in range(3):
    next(given)
    assert made == list(range(number + 1 + ahead))
  assert len(list(given)) == 4


def test_a_stream_without_end_is_not_read_to_its_end() -> None:
  made = []
  endless = batches(made, count=10**9)
  assert len(list(itertools.islice(prefetch(endless), 2))) == 2
  assert len(made) == 2 + AHEAD


@pytest.mark.parametrize('transfer', TRANSFERS)
def test_stand_ins_are_like_batches(transfer) -> None:
  batch = next(prefetch(batches([], transfer)))
  stand_ins = stand_in_batch(4, transfer, 2 * jax.device_count())
  assert stand_ins.keys() == batch.keys()
  for name, stand_in in stand_ins.items():
    array = batch[name]
    assert (stand_in.shape, stand_in.dtype) == (array.shape, array.dtype)
    assert stand_in.sharding.is_equivalent_to(array.sharding, array.ndim)


def test_none_gives_none() -> None:
  assert list(prefetch(iter(()))) == []
