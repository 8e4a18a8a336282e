"""The PyTorch network is that of the spec; only where PyTorch is installed."""

import numpy as np
import pytest

from layernas.networks.counting import count
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.spaces import SPACES
from tests.training import small

torch = pytest.importorskip(
    'torch', reason='requirements-benchmarks.txt is not installed'
)
torch_network = pytest.importorskip('benchmarks.torch_network')

_NETWORKS = {
    **REFERENCE_NETWORKS, 'candidate': SPACES['cifar10_small']().base,
}


@pytest.mark.parametrize('name', _NETWORKS)
def test_has_the_parameters_and_buffers_that_are_counted(name: str) -> None:
  network = torch_network.TorchNetwork(_NETWORKS[name], 1000, 0.9, 1e-3)
  counts = count(_NETWORKS[name], 224, 1000)
  assert counts.params == sum(p.numel() for p in network.parameters())
  assert counts.buffers == sum(
      buffer.numel() for name, buffer in network.named_buffers()
      if 'running' in name
  )


@pytest.mark.parametrize('optimizer', ['sgd', 'rmsprop'])
def test_a_step_changes_every_parameter(optimizer: str) -> None:
  network = torch_network.TorchNetwork(small.NETWORK, 5, 0.9, 1e-3)
  before = [p.detach().clone() for p in network.parameters()]
  rng = np.random.default_rng(0)
  step = torch_network.TorchStep(
      network, small.get_config(optimizer=optimizer).training,
      rng.standard_normal((8, 16, 16, 3), np.float32), rng.integers(5, size=8),
  )
  step()
  for old, new in zip(before, network.parameters(), strict=True):
    assert torch.isfinite(new).all()
    assert not torch.equal(old, new)
