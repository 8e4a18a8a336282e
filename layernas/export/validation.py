"""Accuracy and speed of a model on a data set."""

import time
from typing import Any

import jax
import numpy as np

from layernas import activity
from layernas.data.dataset import Dataset
from layernas.errors import UserError
from layernas.export.model import Classifier
from layernas.export.model import Model
from layernas.training.devices import replicate
from layernas.training.steps import make_evaluation_step
from layernas.training.train import evaluate


def validate(
    model: Model, dataset: Dataset, split: str = 'test', batch_size: int = 0
) -> dict[str, Any]:
  """Evaluates a model as its training did.

  Args:
    model: model to evaluate.
    dataset: data set with the model's image size and classes.
    split: split of the data set.
    batch_size: over all devices, of which the next multiple is taken; 0 takes
      that of the training's evaluation, which reproduces the metrics of the
      training.

  Returns:
    The metrics, 'images', and 'images_per_second' without compilation.

  Raises:
    UserError: the data set has other classes or images of another size.
  """
  _check(model, dataset)
  size = batch_size or model.config.training.evaluation_batch_size
  # The training may have had another number of devices.
  size += -size % jax.device_count()
  step = make_evaluation_step(
      model.flax, model.network.task, model.config.model.matmul_precision
  )
  variables = replicate(jax.tree.map(np.asarray, model.variables))
  with activity.doing('compiling the network'):
    evaluate(step, variables, _First(dataset), split, size)
  images = dataset.num_examples(split)
  with activity.doing(f'evaluating {images:,} images'):
    begun = time.perf_counter()
    metrics = evaluate(step, variables, dataset, split, size)
    seconds = time.perf_counter() - begun
  return {
      **metrics, 'images': images, 'images_per_second': images / seconds,
  }


def validate_anything(
    model: Classifier, dataset: Dataset, split: str = 'test',
    batch_size: int = 64,
) -> dict[str, Any]:
  """Evaluates a classifier in any runtime.

  Args:
    model: model to evaluate.
    dataset: data set with images of the type that the model takes, and with its
      classes.
    split: split of the data set.
    batch_size: number of images per pass.

  Returns:
    'loss', 'accuracy', 'top5', 'images' and 'images_per_second'.

  Raises:
    UserError: the data set has other classes or images of another size.
  """
  _check(model, dataset)
  losses, hits, top, seconds = [], [], [], 0.0
  images = dataset.num_examples(split)
  with activity.doing(f'evaluating {images:,} images'):
    for batch in dataset.evaluation_batches(split, batch_size):
      real = batch['mask'] > 0
      labels = batch['label'][real]
      begun = time.perf_counter()
      logits = model.run(batch['image'][real]).astype(np.float64)
      seconds += time.perf_counter() - begun
      high = logits.max(axis=1, keepdims=True)
      total = high[:, 0] + np.log(np.exp(logits - high).sum(axis=1))
      losses.append(total - logits[np.arange(len(labels)), labels])
      order = np.argsort(-logits, axis=1, kind='stable')[:, :5]
      hits.append(order[:, 0] == labels)
      top.append((order == labels[:, None]).any(axis=1))
  return {
      'loss': float(np.concatenate(losses).mean()),
      'accuracy': float(np.concatenate(hits).mean()),
      'top5': float(np.concatenate(top).mean()),
      'images': images, 'images_per_second': images / seconds,
  }


def _check(model: Classifier, dataset: Dataset) -> None:
  """Raises UserError where a data set is not of a model's kind."""
  shape = dataset.num_classes, dataset.image_size
  wanted = model.num_classes, (
      model.preprocessing.size if model.preprocessing else dataset.image_size
  )
  if shape != wanted:
    raise UserError(
        f'data set {dataset.name}: {shape[0]} classes, images of {shape[1]}'
        f' pixels: the model has {wanted[0]} classes and takes {wanted[1]}'
        ' pixels; allowed is a data set with the same'
    )


class _First:
  """A data set's first evaluation batch alone."""

  def __init__(self, dataset: Dataset):
    self._dataset = dataset
    self.scaling = dataset.scaling

  def evaluation_batches(self, *arguments: Any) -> Any:
    """Yields one batch."""
    yield next(iter(self._dataset.evaluation_batches(*arguments)))
