"""Networks one after the other in PyTorch, eagerly, channels_last.

Needs tools/perf/requirements.txt. The networks and the optimiser are those of
tools/perf/torch_network.py, at a constant learning rate; batches come from our
data set, without a copy.
"""

import os
import pathlib
import tempfile
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import torch
from ml_collections import ConfigDict

from layernas.training.wall_time import WallTime
from tools.perf.machine import machine
from tools.perf.one_by_one import Job
from tools.perf.one_by_one import times_of_steps
from tools.perf.one_by_one import train_one_by_one
from tools.perf.torch_network import TorchBatch
from tools.perf.torch_network import TorchNetwork
from tools.perf.torch_network import TorchStep
from tools.perf.torch_network import to_torch


def measure(
    config: ConfigDict, candidates: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
  """Trains the networks of our candidates, all steps, on all cores.

  Args:
    config: of the search.
    candidates: those of `our_search.measure`.

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
    network: is left in evaluation mode.
    batches: what is padding in them does not count.

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
  """Nothing is traced or compiled; building the network is 'other'."""
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
