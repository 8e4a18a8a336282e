"""What users may write themselves: optimisers, a schedule, a data loader."""

from typing import Any

import optax

from layernas.data.array_dataset import ArrayDataset
from layernas.training.optimizer import Recipe
from layernas.training.optimizer import Span
from tests.training import small


def adamw(recipe: Recipe, b1: float = 0.9) -> optax.GradientTransformation:
  """Decays beside the gradient."""
  return optax.adamw(
      recipe.learning_rate, b1, weight_decay=recipe.decay.rate,
      mask=recipe.decay.mask,
  )


def schedule_free(recipe: Recipe) -> optax.GradientTransformation:
  """Its state begins with a copy of the parameters."""
  return optax.contrib.schedule_free(
      adamw(recipe, b1=0.0), recipe.learning_rate
  )


def no_optimizer(recipe: Recipe) -> str:
  """A mistake."""
  del recipe
  return 'sgd'


def sawtooth(span: Span, teeth: int) -> optax.Schedule:
  """Falls to zero several times."""
  length = span.steps / teeth
  return lambda step: span.peak * (1 - step % length / length)


def no_schedule(span: Span) -> float:
  """A mistake."""
  return span.peak


def shades(section: Any, classes: int) -> ArrayDataset:
  """Arrays whose brightness tells their label."""
  read, labels = small.images(96, 0, classes)
  test, test_labels = small.images(16, 1, classes)
  splits = {'all_train': (read, labels), 'test': (test, test_labels)}
  return ArrayDataset('shades', splits, classes, section)


def no_dataset(section: Any) -> list[str]:
  """A mistake."""
  return [section.name]
