"""PyTorch's step on a device; only where PyTorch is installed."""

import pytest

from configs import default
from tests.perf import small_network
from tools.perf.torch_step import TorchOnDevice
from tools.perf.train_step import Case


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_a_step_changes_every_parameter(dtype):
  config = default.get_config()
  config.model.dtype = dtype
  config.training.batch_size = 4
  step = TorchOnDevice(Case(small_network.network(), config, 32, 10), 'cpu')
  parameters = list(step._network.parameters())
  before = [one.detach().clone() for one in parameters]
  step.begin()
  step.wait()
  assert all(
      (one != other).any()
      for one, other in zip(parameters, before, strict=True)
  )
  assert step.peak_bytes() is None
