"""A network, data and a config that train in a second."""

import dataclasses

import numpy as np
from ml_collections import ConfigDict

from configs import default
from layernas.data.array_dataset import ArrayDataset
from layernas.data.array_dataset import Images
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem
from layernas.training.programs import Programs
from layernas.training.programs import compile_programs
from layernas.training.train import Job

NETWORK = NetworkSpec(Stem(8), (InvertedResidual(8, 0, stride=2),), Head(0))
OTHER_NETWORK = dataclasses.replace(NETWORK, head=Head(16))
CLASSES = 4
SIDE = 8
TRAIN, VALIDATION, TEST = 72, 24, 13
"""Images of each split."""


def get_config(**training) -> ConfigDict:
  """The defaults with nine steps an epoch and the training fields given."""
  config = default.get_config()
  config.data.image_size = SIDE
  config.data.validation_share = 0.25
  config.data.crop_padding = 1
  config.training.batch_size = 8
  config.training.evaluation_batch_size = 8
  config.training.epochs = 1.0
  config.training.warmup_epochs = 0.0
  config.training.learning_rate = 1.0
  config.training.log_every_steps = 4
  config.training.checkpoint_every_steps = 2
  config.training.update(training)
  return config.lock()


def images(
    number: int, seed: int, classes: int = CLASSES
) -> tuple[Images, np.ndarray]:
  """Noise around a brightness that tells the label."""
  labels = np.arange(number) % classes
  noise = np.random.default_rng(seed).integers(
      -30, 31, (number, SIDE, SIDE, 3)
  )
  pixels = 40 + 55 * labels[:, None, None, None] + noise
  return lambda: pixels.astype(np.uint8), labels


def dataset(
    kind: type[ArrayDataset] = ArrayDataset, **data
) -> ArrayDataset:
  """72 training, 24 validation and 13 test images; the data fields given."""
  splits = {'all_train': images(TRAIN + VALIDATION, 0), 'test': images(TEST, 1)}
  section = get_config().data.unlock()
  section.update(data)
  return kind('small', splits, CLASSES, section.lock())


def job(network: NetworkSpec = NETWORK, seed: int = 0, **training) -> Job:
  """A training with the training fields given."""
  return Job(get_config(**training), network, dataset(), seed)


_made: dict[tuple[object, ...], Programs] = {}


def programs(of: Job) -> Programs:
  """Those of a job, compiled once for all jobs like it."""
  key = of.network, of.split, of.config.to_json()
  if key not in _made:
    _made[key] = compile_programs(of.config, of.network, of.dataset, of.split)
  return _made[key]
