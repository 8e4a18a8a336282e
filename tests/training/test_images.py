"""What devices do to images: the same to the bit as on the host."""

import itertools
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from layernas.data.array_dataset import ArrayDataset
from layernas.data.augmentation import ON_DEVICE
from layernas.data.dataset import TRANSFERS
from layernas.data.dataset import HostShare
from layernas.data.dataset import Scaling
from layernas.training import images
from layernas.training.devices import prefetch
from layernas.training.devices import shard
from layernas.training.devices import split_over_devices
from layernas.training.programs import compilations
from tests import tiny
from tests.training import small

_SIZE = 16
"""Images of a batch; the 72 of the split give four batches an epoch."""


def _dataset(where: str, augmentation: str, transfer: str) -> ArrayDataset:
  """Noise in three colours, scaled by another number in each."""
  return small.dataset(
      augment_on=where, augmentation=augmentation, transfer=transfer,
      crop_padding=3, mean=(0.4, 0.5, 0.6), deviation=(0.2, 0.25, 0.3),
  )


def _steps(
    dataset: ArrayDataset, start: int, count: int, host: HostShare
) -> list[dict[str, np.ndarray]]:
  """Batches as steps are given them."""
  batches = dataset.train_batches('train', _SIZE, 5, start, host)
  given = prefetch(
      itertools.islice(batches, count), scaling=dataset.scaling
  )
  return [
      {name: np.asarray(array) for name, array in batch.items()}
      for batch in given
  ]


@pytest.mark.parametrize('transfer', TRANSFERS)
@pytest.mark.parametrize('augmentation', ON_DEVICE)
def test_steps_are_given_the_same_bits(augmentation, transfer) -> None:
  """Over three epochs, in one go and from a step on, whole and in parts."""
  host, device = (
      _dataset(where, augmentation, transfer) for where in ('host', 'device')
  )
  # The second of two hosts needs images for all of its devices.
  whole, half = HostShare(), HostShare(1, 2)
  shares = [whole] if _SIZE // 2 % jax.local_device_count() else [whole, half]
  for share in shares:
    expected = _steps(host, 0, 12, share)
    for start in (0, 7):
      found = _steps(device, start, 12 - start, share)
      assert len(found) == 12 - start
      for one, other in zip(found, expected[start:], strict=True):
        assert one.keys() == other.keys() == {'image', 'label', 'mask'}
        for name, array in one.items():
          assert array.dtype == other[name].dtype
          assert array.tobytes() == other[name].tobytes(), name


def test_images_differ_from_epoch_to_epoch_and_go_as_they_are() -> None:
  """What the host sends are stored bytes, with other numbers every time."""
  dataset = _dataset('device', 'crop_flip', 'uint8')
  batches = list(itertools.islice(dataset.train_batches('train', 72, 0), 2))
  drawn = [batch['augmentation'] for batch in batches]
  for one in drawn:
    assert one.shape == (72, 3)
    assert one.dtype == np.int32
    assert {*np.unique(one[:, :2])} == {-3, -2, -1, 0, 1, 2, 3}
    assert {*np.unique(one[:, 2])} == {0, 1}
  assert (drawn[0] != drawn[1]).any()
  stored = small.images(small.TRAIN + small.VALIDATION, 0)[0]()
  known = {image.tobytes() for image in stored}
  for batch in batches:
    assert {image.tobytes() for image in batch['image']} <= known


def _arguments(transfer: str) -> tuple[jax.Array, jax.Array]:
  dataset = _dataset('device', 'crop_flip', transfer)
  batch = shard(next(dataset.train_batches('train', _SIZE, 0)))
  layout = split_over_devices()
  return tuple(
      jax.device_put(batch[name], layout) for name in ('image', 'augmentation')
  )


@pytest.mark.parametrize('platform', ['cuda', 'rocm', 'tpu'])
@pytest.mark.parametrize('transfer', TRANSFERS)
def test_no_kernel_for_cpu_reaches_an_accelerator(transfer, platform) -> None:
  traced = images.moved.trace(*_arguments(transfer), Scaling())
  text = traced.lower(lowering_platforms=(platform,)).as_text()
  assert 'gather' in text
  assert 'custom_call @' not in text.replace('custom_call @Sharding', '')
  assert 'f64' not in text


def test_every_device_moves_its_own_images() -> None:
  given = _arguments('uint8')
  program = images.moved.lower(*given, Scaling()).compile()
  text = program.as_text()
  for collective in ('all-gather', 'all-reduce', 'all-to-all',
                     'collective-permute'):
    assert collective not in text
  moved = program(*given)
  assert moved.sharding.is_equivalent_to(given[0].sharding, moved.ndim)
  assert len(moved.devices()) == jax.local_device_count()


def test_nothing_is_compiled_again() -> None:
  dataset = _dataset('device', 'crop_flip', 'uint8')
  _steps(dataset, 0, 1, HostShare())
  before = compilations()
  _steps(dataset, 3, 6, HostShare())
  # A data set of its own, as that of the next candidate may be.
  _steps(_dataset('device', 'crop_flip', 'uint8'), 0, 6, HostShare())
  assert compilations() == before


@pytest.mark.long
@pytest.mark.skipif(
    'JAX_NUM_CPU_DEVICES' in os.environ, reason='is what this test starts'
)
def test_all_of_this_on_eight_devices() -> None:
  done = subprocess.run(
      [sys.executable, '-m', 'pytest', '-q', 'tests/training/test_images.py'],
      cwd=tiny.ROOT, capture_output=True, text=True,
      env=os.environ | {'JAX_NUM_CPU_DEVICES': '8'},
  )
  assert done.returncode == 0, done.stdout[-3000:]
