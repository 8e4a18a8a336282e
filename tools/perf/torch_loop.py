"""Networks and a training loop in PyTorch, for comparison.

Needs tools/perf/requirements.txt. `TorchNetwork` has the layers, filters and
activations that `layernas.models` builds from a NetworkSpec, in the form that
is usual and fast in PyTorch: channels_last, fused hard-swish and hard-sigmoid,
convolutions padded by half their kernel on every side. (SAME pads a strided one
on the far side only; sizes and arithmetic are equal.)

The loop trains eagerly on all cores with the config's optimiser at a constant
learning rate. It takes batches from `layernas.data` without a copy.
"""

import os
import pathlib
import tempfile
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
import torch
from ml_collections import ConfigDict
from torch import nn

from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from layernas.training.wall_time import WallTime
from tools.perf.candidate_loops import Job
from tools.perf.candidate_loops import times_of_steps
from tools.perf.candidate_loops import train_one_by_one
from tools.perf.machine import machine

_ACTIVATIONS = {
    'relu': nn.ReLU, 'relu6': nn.ReLU6, 'hard_swish': nn.Hardswish,
    'swish': nn.SiLU,
}
_GATES = {'hard_sigmoid': nn.Hardsigmoid, 'sigmoid': nn.Sigmoid}


class TorchNetwork(nn.Module):
  """A MobileNet-style network."""

  def __init__(
      self, spec: NetworkSpec, num_classes: int, momentum: float,
      epsilon: float,
  ):
    """Builds it with PyTorch's own initial weights.

    Args:
      spec: its specification.
      num_classes: width of the classifier.
      momentum: share of batch norm's old averages kept in a step.
      epsilon: added to batch norm's variance.
    """
    super().__init__()
    norm = {'momentum': 1.0 - momentum, 'eps': epsilon}
    stem, head = spec.stem, spec.head
    layers = [
        _normalised(
            nn.Conv2d(
                3, stem.filters, stem.kernel, stem.stride, stem.kernel // 2,
                bias=False,
            ),
            norm, stem.activation,
        )
    ]
    for index, block in enumerate(spec.blocks):
      layers.append(_InvertedResidual(block, spec.input_filters(index), norm))
    width = spec.input_filters(len(spec.blocks))
    if head.filters:
      layers.append(_normalised(
          _pointwise(width, head.filters), norm, head.activation
      ))
      width = head.filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if head.hidden:
      layers += [
          nn.Linear(width, head.hidden),
          _activation(head.activation),
      ]
      width = head.hidden
    self.layers = nn.Sequential(*layers, nn.Linear(width, num_classes))

  def forward(self, images: torch.Tensor) -> torch.Tensor:
    """Logits of images (batch, 3, side, side)."""
    return self.layers(images)


class TorchBatch(NamedTuple):
  """Images with labels.

  Attributes:
    images: (batch, 3, side, side), channels_last.
    labels: (batch,), int64.
    mask: (batch,), 0 for padding.
  """

  images: torch.Tensor
  labels: torch.Tensor
  mask: torch.Tensor


def to_torch(batch: Mapping[str, np.ndarray]) -> TorchBatch:
  """Converts a batch of `layernas.data`.

  Args:
    batch: 'image' (batch, side, side, 3), float32; 'label'; 'mask'.

  Returns:
    The same numbers. The images stay where they are in memory, which is the
    layout of channels_last.
  """
  return TorchBatch(
      torch.from_numpy(batch['image']).permute(0, 3, 1, 2),
      torch.from_numpy(batch['label'].astype(np.int64)),
      torch.from_numpy(batch['mask']),
  )


class TorchStep:
  """A training step: forward, cross-entropy, backward, optimiser.

  Attributes:
    optimizer: of the config.
  """

  def __init__(self, network: TorchNetwork, training: Any):
    """Prepares the network for training.

    Args:
      network: to train.
      training: config section: optimizer, momentum, rms_decay, rms_epsilon,
        weight_decay, label_smoothing.
    """
    self._network = network.to(memory_format=torch.channels_last).train()
    self.optimizer = _optimizer(network, training)
    self._loss = nn.CrossEntropyLoss(label_smoothing=training.label_smoothing)

  def __call__(self, batch: TorchBatch) -> None:
    """Runs a step."""
    self.optimizer.zero_grad(set_to_none=True)
    self._loss(self._network(batch.images), batch.labels).backward()
    self.optimizer.step()


class _InvertedResidual(nn.Module):

  def __init__(
      self, block: InvertedResidual, inputs: int, norm: dict[str, float]
  ):
    super().__init__()
    filters = block.depthwise_filters(inputs)
    layers = []
    if block.expanded:
      layers.append(_normalised(
          _pointwise(inputs, filters), norm, block.activation
      ))
    depthwise = nn.Conv2d(
        filters, filters, block.kernel, block.stride, block.kernel // 2,
        groups=filters, bias=False,
    )
    layers.append(_normalised(depthwise, norm, block.activation))
    if block.squeeze:
      layers.append(_SqueezeExcite(block.squeeze, inputs, filters))
    layers.append(_normalised(_pointwise(filters, block.filters), norm, ''))
    self._layers = nn.Sequential(*layers)
    self._residual = block.has_residual(inputs)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    y = self._layers(x)
    return x + y if self._residual else y


class _SqueezeExcite(nn.Module):

  def __init__(self, squeeze: Squeeze, inputs: int, filters: int):
    super().__init__()
    units = squeeze.filters(inputs, filters)
    self._gate = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Conv2d(filters, units, 1),
        _activation(squeeze.activation), nn.Conv2d(units, filters, 1),
        _GATES[squeeze.gate](),
    )

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return x * self._gate(x)


def _pointwise(inputs: int, filters: int) -> nn.Conv2d:
  """1x1 convolution without bias."""
  return nn.Conv2d(inputs, filters, 1, bias=False)


def _normalised(
    convolution: nn.Conv2d, norm: dict[str, float], activation: str
) -> nn.Sequential:
  """Convolution, batch norm, activation."""
  layers = [
      convolution, nn.BatchNorm2d(convolution.out_channels, **norm),
  ]
  if activation:
    layers.append(_activation(activation))
  return nn.Sequential(*layers)


def _activation(name: str) -> nn.Module:
  make: Callable[..., nn.Module] = _ACTIVATIONS[name]
  return make(inplace=True)


def _optimizer(network: nn.Module, training: Any) -> torch.optim.Optimizer:
  """The config's optimiser; `foreach` updates many tensors in one call."""
  if training.optimizer == 'sgd':
    return torch.optim.SGD(
        network.parameters(), lr=1e-3, momentum=training.momentum,
        nesterov=True, weight_decay=training.weight_decay, foreach=True,
    )
  return torch.optim.RMSprop(
      network.parameters(), lr=1e-3, alpha=training.rms_decay,
      eps=training.rms_epsilon, momentum=training.momentum,
      weight_decay=training.weight_decay, foreach=True,
  )


def measure(
    config: ConfigDict, candidates: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
  """Trains the networks of the search's candidates, all steps, on all cores.

  Args:
    config: of the search.
    candidates: those of `candidate_loops.measure_search`.

  Returns:
    JSON types: 'candidates', see `train_one_by_one`, and 'threads'.
  """
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  return {
      'threads': torch.get_num_threads(),
      'candidates': train_one_by_one(config, candidates, 0, _train),
      'machine': machine(torch=torch.__version__),
  }


def evaluate(
    network: TorchNetwork, batches: Iterable[TorchBatch]
) -> dict[str, float]:
  """Evaluates a network, as PyTorch users do.

  Args:
    network: stays in evaluation mode.
    batches: their padding does not count.

  Returns:
    'loss' and 'accuracy', means per image.
  """
  network.eval()
  sums = torch.zeros(3)
  with torch.inference_mode():
    for batch in batches:
      logits = network(batch.images)
      losses = torch.nn.functional.cross_entropy(
          logits, batch.labels, reduction='none'
      )
      hits = (logits.argmax(1) == batch.labels).float()
      sums += torch.stack([
          (losses * batch.mask).sum(), (hits * batch.mask).sum(),
          batch.mask.sum(),
      ])
  loss, accuracy, count = sums.tolist()
  return {'loss': loss / count, 'accuracy': accuracy / count}


def _train(job: Job) -> tuple[dict[str, float], list[float]]:
  """Trains one network; its building counts as 'other'."""
  clock, training, model = WallTime(), job.config.training, job.config.model
  torch.manual_seed(job.seed)
  network = TorchNetwork(
      job.network, job.dataset.num_classes, model.batch_norm_momentum,
      model.batch_norm_epsilon,
  )
  step = TorchStep(network, training)
  batches = map(to_torch, job.dataset.train_batches(
      'train', training.batch_size, job.seed
  ))
  with clock.spent_on('train'):
    times = times_of_steps(step, batches, job.timed_steps)
  with clock.spent_on('evaluate'):
    evaluate(network, map(to_torch, job.dataset.evaluation_batches(
        'validation', training.evaluation_batch_size
    )))
  with (
      clock.spent_on('save'), tempfile.TemporaryDirectory() as directory
  ):
    torch.save(
        {'network': network.state_dict(),
         'optimizer': step.optimizer.state_dict()},
        pathlib.Path(directory) / 'checkpoint.pt',
    )
  return clock.seconds(), times
