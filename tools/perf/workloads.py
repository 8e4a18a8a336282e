"""The searches that tools/perf/candidates.py runs."""

from typing import Any

from ml_collections import ConfigDict

from configs import cifar10_small
from layernas.data.embedded_cifar10 import NATIVE_SIZE
from layernas.data.registry import load_dataset
from layernas.networks.mobilenet_spaces import block_layer
from layernas.networks.reference import mobilenet_v3_large
from layernas.networks.space import NetworkSpace
from tools.perf.step_cases import make_case

WORKLOADS = ('cifar10_small', 'mobilenet_v3_large_224')


def make_config(
    workload: str, trials: int = 0, compile_ahead: int = 2, steps: int = 0
) -> ConfigDict:
  """The config of a workload's search.

  Args:
    workload: one of `WORKLOADS`.
    trials: first ones of the search; 0 = all.
    compile_ahead: the config's field.
    steps: of each training; 0 = as many as the workload has.

  Returns:
    A locked config.
  """
  if workload == 'cifar10_small':
    config = cifar10_small.get_config().unlock()
  else:
    config = _mobilenet_v3_large_224()
  config.budget.trials = trials
  config.compile_ahead = compile_ahead
  if steps:
    training = config.training
    epochs = steps / (training_images(config.data) // training.batch_size)
    training.warmup_epochs *= epochs / training.epochs
    training.epochs = epochs
  return config.lock()


def mobilenet_v3_space() -> NetworkSpace:
  """MobileNetV3-Large, and two networks with another last block."""
  return NetworkSpace(
      mobilenet_v3_large(),
      (block_layer(14, ((5, 960), (3, 960), (5, 640)), (5, 960)),),
  )


def training_images(data: Any) -> int:
  """Images that the candidates are trained on.

  Args:
    data: section of the config.

  Returns:
    The same number whatever the side of the images, which are read small.
  """
  data = data.copy_and_resolve_references().unlock()
  data.image_size = NATIVE_SIZE
  return load_dataset(data).num_examples('train')


def _mobilenet_v3_large_224() -> ConfigDict:
  """Three candidates: 49 steps each, 200 images to evaluate on."""
  case = make_case('mobilenet_v3_large_224')
  config = case.config
  config.space = 'tools.perf.workloads:mobilenet_v3_space'
  config.data.image_size = case.image_size
  config.data.validation_share = 0.02
  training = config.training
  training.epochs = 0.04
  training.warmup_epochs = 0.0
  # Of MobileNetV3's recipe (configs/recipes.py).
  training.learning_rate = 0.016
  training.evaluation_batch_size = 50
  # The state is saved once, as the other loops save it.
  training.checkpoint_every_steps = 40
  return config
