"""The PyTorch network is that of the spec; only where PyTorch is installed."""

import numpy as np
import pytest
import torch

from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.reference import REFERENCE_NETWORKS
from tests import tiny
from tests.training import small
from tools.perf import torch_loop

_NETWORKS = {
    **REFERENCE_NETWORKS, 'candidate': SPACES['cifar10_small']().base,
}


@pytest.mark.parametrize('name', _NETWORKS)
def test_has_the_parameters_and_buffers_that_are_counted(name):
  network = torch_loop.TorchNetwork(_NETWORKS[name], 1000, 0.9, 1e-3)
  counts = _NETWORKS[name].counts(224, 1000)
  assert counts.params == sum(p.numel() for p in network.parameters())
  assert counts.buffers == sum(
      buffer.numel() for name, buffer in network.named_buffers()
      if 'running' in name
  )


@pytest.mark.parametrize('optimizer', ['sgd', 'rmsprop'])
def test_a_step_changes_every_parameter(optimizer):
  network = torch_loop.TorchNetwork(small.NETWORK, 5, 0.9, 1e-3)
  before = [p.detach().clone() for p in network.parameters()]
  rng = np.random.default_rng(0)
  step = torch_loop.TorchStep(
      network, small.get_config(optimizer=optimizer).training
  )
  step(torch_loop.to_torch({
      'image': rng.standard_normal((8, 16, 16, 3), np.float32),
      'label': rng.integers(5, size=8), 'mask': np.ones(8, np.float32),
  }))
  for old, new in zip(before, network.parameters(), strict=True):
    assert torch.isfinite(new).all()
    assert not torch.equal(old, new)


def test_batches_stay_where_they_are_channels_last():
  [*_, last] = small.dataset().evaluation_batches('test', 8)
  batch = torch_loop.to_torch(last)
  assert batch.images.is_contiguous(memory_format=torch.channels_last)
  assert batch.images.data_ptr() == last['image'].ctypes.data
  np.testing.assert_array_equal(
      batch.images.numpy(), last['image'].transpose(0, 3, 1, 2)
  )
  assert batch.labels.tolist() == last['label'].tolist()
  assert batch.mask.tolist() == [1.0] * 5 + [0.0] * 3


def test_padding_does_not_count_in_an_evaluation():
  batch = torch_loop.TorchBatch(
      torch.tensor([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 0.0]]),
      torch.tensor([0, 1, 1, 1]), torch.tensor([1.0, 1.0, 1.0, 0.0]),
  )
  found = torch_loop.evaluate(torch.nn.Identity(), [batch, batch])
  assert found['accuracy'] == pytest.approx(2 / 3)
  assert found['loss'] == pytest.approx(3.0, abs=1e-3)


def test_every_part_of_a_candidate_is_timed():
  config = tiny.get_config().unlock()
  config.training.batch_size, config.training.epochs = 50, 4 / 160
  [one] = torch_loop.measure(
      config, [{'architecture': '0-0-0', 'seed': 1}]
  )['candidates']
  assert one['images'] == 4 * 50
  for part in ('train', 'evaluate', 'save'):
    assert one['seconds'][part] > 0
