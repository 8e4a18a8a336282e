"""Recipes for ImageNet, as data.

A recipe is written down for a run to the end. A shorter one, as a candidate's 5
epochs, keeps the shape of the schedule: warm-up and the epochs between steps
are the same shares of the run.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

# Fields of the training section that count a part of its epochs.
_PARTS = ('warmup_epochs', 'decay_epochs')

# TuNAS (Bender et al., 2020, arXiv 2008.06120): very likely the trainer of
# LayerNAS. 4096 images are 128 on each core of a 4x4 TPU. Its weight decay
# takes in the depthwise kernels and leaves the classifier out.
_TUNAS = {
    'training': {
        'batch_size': 4096,
        'epochs': 500.0,
        'optimizer': 'rmsprop',
        'momentum': 0.9,
        'rms_decay': 0.9,
        'rms_epsilon': 1.0,
        'learning_rate': 0.165,
        'schedule': 'cosine',
        'warmup_epochs': 12.5,
        'weight_decay': 4e-5,
        'weight_decay_excludes': 'batch_norm,bias,classifier',
        'label_smoothing': 0.1,
        'ema_decay': 0.0,
    },
    'model': {
        'batch_norm_momentum': 0.99,
        'batch_norm_epsilon': 1e-3,
        # For MobileNetV3; 0.15 for MobileNetV2.
        'dropout': 0.25,
        'dropout_from_epochs': 150.0,
    },
}

# MobileNetV3 (Howard et al., 2019, arXiv 1905.02244) and MnasNet; 1024 images
# are for 8 cores. All parameters but batch norm's decay.
_MOBILENET_V3 = {
    'training': {
        'batch_size': 1024,
        'epochs': 350.0,
        'optimizer': 'rmsprop',
        'momentum': 0.9,
        'rms_decay': 0.9,
        'rms_epsilon': 1e-3,
        'learning_rate': 0.016,
        'schedule': 'stepped',
        'decay_rate': 0.97,
        'decay_epochs': 2.4,
        'warmup_epochs': 5.0,
        'weight_decay': 1e-5,
        'weight_decay_excludes': 'batch_norm',
        'label_smoothing': 0.1,
        'ema_decay': 0.9999,
    },
    'model': {
        'batch_norm_momentum': 0.99,
        'batch_norm_epsilon': 1e-3,
        'dropout': 0.2,
        'dropout_from_epochs': 0.0,
    },
}

RECIPES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    'tunas': _TUNAS,
    'mobilenet_v3': _MOBILENET_V3,
}
"""Fields of the sections training and model by the name of the recipe."""


def set_recipe(
    config: ConfigDict, name: str, candidate_epochs: float
) -> None:
  """Sets the model and both trainings of a config.

  Args:
    config: with sections training (candidates), final and model.
    name: one of `RECIPES`.
    candidate_epochs: of each candidate.
  """
  recipe = RECIPES[name]
  config.model.update(recipe['model'])
  config.final.update(recipe['training'])
  config.training.update(recipe['training'])
  share = candidate_epochs / recipe['training']['epochs']
  config.training.epochs = candidate_epochs
  for field in _PARTS:
    config.training[field] *= share
