r"""A task of one's own: diabetes from ten numbers, by a small perceptron.

  ./launch.sh search --config=configs/cifar10_small.py \
    --config.space=examples.own_task:space \
    --config.data.source=examples.own_task:load \
    --config.cost.metric=params --config.target.high=1000 \
    --config.training.batch_size=32 --config.training.epochs=40 \
    --config.training.learning_rate=0.1 --config.training.schedule=constant \
    --config.training.evaluation_batch_size=64 --config.budget.trials=30 \
    --workdir=workdir/diabetes

The data come with scikit-learn. The loss is the squared error of the disease's
progression, in standard deviations; the mean absolute error is measured beside.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_diabetes

from layernas.data.table_dataset import TableDataset
from layernas.networks.flax_space import Choice
from layernas.networks.flax_space import FlaxSpace
from layernas.networks.network import Task


class Perceptron(nn.Module):
  """Dense layers with dropout; one output."""

  outputs: int
  width: int
  depth: int
  activation: Any
  dropout: float

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    for _ in range(self.depth):
      x = self.activation(nn.Dense(self.width)(x))
      x = nn.Dropout(self.dropout, deterministic=not train)(x)
    return nn.Dense(self.outputs)(x)


def space() -> FlaxSpace:
  """Four layers."""
  task = Task(
      loss=lambda outputs, batch: (outputs[:, 0] - batch['y']) ** 2,
      metrics=lambda outputs, batch: {
          'error': jnp.abs(outputs[:, 0] - batch['y'])
      },
      inputs=lambda batch: batch['x'],
      example=jax.ShapeDtypeStruct((10,), jnp.float32),
  )
  return FlaxSpace([
      Choice('width', (4, 8, 16, 32), default=1),
      Choice('depth', (1, 2, 3)),
      Choice('activation', (nn.relu, nn.tanh)),
      Choice('dropout', (0.0, 0.1, 0.3)),
  ], lambda choices, outputs: Perceptron(outputs, **choices), task=task)


def load(section: Any) -> TableDataset:
  """The data set, a fifth of it for the test."""
  x, y = load_diabetes(return_X_y=True)
  arrays = {
      'x': (x / x.std(axis=0)).astype(np.float32),
      'y': ((y - y.mean()) / y.std()).astype(np.float32),
  }
  order = np.random.default_rng(0).permutation(len(y))
  test, train = np.split(order, [len(y) // 5])
  return TableDataset(
      'diabetes', {name: values[train] for name, values in arrays.items()},
      {name: values[test] for name, values in arrays.items()},
      section.validation_share,
  )
