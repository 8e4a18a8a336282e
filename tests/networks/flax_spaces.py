"""Spaces over Flax modules for tests."""

import flax.linen as nn
import jax.numpy as jnp

from layernas.models.network import of_config
from layernas.networks.flax_space import Choice
from layernas.networks.flax_space import FlaxSpace
from layernas.networks.space import NetworkSpace
from tests import tiny


class Net(nn.Module):
  """A convolution and a dense layer, so many times."""

  num_classes: int
  width: int
  depth: int = 1
  activation: object = nn.relu

  @nn.compact
  def __call__(self, images, train):
    x = nn.Conv(self.width, (3, 3), use_bias=False)(images)
    x = nn.BatchNorm(use_running_average=not train)(x)
    x = self.activation(x).mean(axis=(1, 2))
    for _ in range(self.depth):
      x = nn.Dense(self.width)(x)
    return nn.Dense(self.num_classes)(x)


LAYERS = (Choice('width', (4, 8, 12), default=1), Choice('depth', (1, 2, 3)))


def build(choices, num_classes, width=1.0):
  choices = dict(choices, width=round(choices['width'] * width))
  return Net(num_classes, **choices)


def space():
  return FlaxSpace(LAYERS, build, scales=True)


class OneByOne(nn.Module):
  """Images one after the other, as many as there are."""

  num_classes: int

  @nn.compact
  def __call__(self, images, train):
    del train
    dense = nn.Dense(self.num_classes)
    return jnp.stack([
        dense(images[number].mean(axis=(0, 1)))
        for number in range(images.shape[0])
    ])


def one_by_one():
  return FlaxSpace(
      [Choice('width', (1, 2))], lambda _, classes: OneByOne(classes)
  )


def same_as(inner: NetworkSpace) -> FlaxSpace:
  """A space of the package's own specs, as modules of a user's own.

  Args:
    inner: the space.

  Returns:
    The same networks, with the settings of the tiny config and native kernels.
  """
  config = tiny.changed(**{
      'model.depthwise': 'native', 'model.sync_batch_norm': False,
  })
  layers = [
      Choice(layer.name, tuple(range(len(layer.options))), layer.default)
      for layer in inner.layers
  ]
  return FlaxSpace(layers, lambda choices, classes: of_config(
      config, inner.network(tuple(choices.values())), classes
  ))


def same_as_tiny() -> FlaxSpace:
  """The networks of `tiny.space`."""
  return same_as(tiny.space())
