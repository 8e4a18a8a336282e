"""A training step of PyTorch on an accelerator, for comparison.

channels_last, automatic mixed precision for bfloat16, TensorFloat-32 for
float32 as JAX has it by default, cuDNN's fastest algorithms, SGD.
MobileNetV3-Large is timm's where timm is installed.
"""

import contextlib
import importlib.util

import torch

from layernas.networks.reference import mobilenet_v3_large
from tools.perf.torch_loop import TorchNetwork
from tools.perf.train_step import Case

_TIMM = 'mobilenetv3_large_100'


class TorchOnDevice:
  """A training step and its state.

  Attributes:
    network: what is trained, in words.
  """

  def __init__(self, case: Case, device: str):
    """Puts network and batch on the device.

    Args:
      case: network, batch, and in the config `model.dtype`.
      device: cpu or cuda.
    """
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cuda.matmul.allow_tf32 = True
    self._device = device
    self._mixed = case.config.model.dtype == 'bfloat16'
    large = case.network == mobilenet_v3_large()
    if large and importlib.util.find_spec('timm'):
      # Optional.
      import timm  # noqa: PLC0415

      network = timm.create_model(_TIMM, num_classes=case.classes)
      self.network = f'{_TIMM} of timm {timm.__version__}'
    else:
      model = case.config.model
      network = TorchNetwork(
          case.network, case.classes, model.batch_norm_momentum,
          model.batch_norm_epsilon,
      )
      self.network = 'tools/perf/torch_loop.py'
    self._network = network.to(
        device, memory_format=torch.channels_last
    ).train()
    self._optimizer = torch.optim.SGD(
        network.parameters(), lr=1e-3, momentum=0.9, nesterov=True,
        weight_decay=1e-4,
    )
    self._loss = torch.nn.CrossEntropyLoss()
    batch = case.data()
    self._images = torch.from_numpy(batch['image']).permute(0, 3, 1, 2).to(
        device, memory_format=torch.channels_last
    )
    self._labels = torch.from_numpy(batch['label']).long().to(device)

  def begin(self) -> None:
    """Runs a step, on a GPU without waiting for it."""
    mixed = (
        torch.autocast(self._device, dtype=torch.bfloat16) if self._mixed
        else contextlib.nullcontext()
    )
    self._optimizer.zero_grad(set_to_none=True)
    with mixed:
      loss = self._loss(self._network(self._images), self._labels)
    loss.backward()
    self._optimizer.step()

  def wait(self) -> None:
    """Waits for all steps."""
    if self._device == 'cuda':
      torch.cuda.synchronize()

  def peak_bytes(self) -> int | None:
    """Memory taken at most; None on CPU."""
    if self._device == 'cuda':
      return torch.cuda.max_memory_allocated()
    return None
