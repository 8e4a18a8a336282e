r"""A search space over an MLP-Mixer.

  ./launch.sh search --config=configs/cifar10_small.py \
    --config.space=examples.mixer_space:space --config.target.high=4e6 \
    --workdir=workdir/mixer

Each block mixes patches, then filters; its parts are dense layers alone.
"""

from typing import Any

import flax.linen as nn
import jax

from layernas.networks.flax_space import Choice
from layernas.networks.flax_space import FlaxSpace


class Perceptron(nn.Module):
  """Two dense layers over the last axis."""

  hidden: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    return nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.hidden)(x)))


class Mixer(nn.Module):
  """Perceptrons over the patches and over the channels in turn."""

  num_classes: int
  patch: int
  width: int
  depth: int
  tokens: int
  channels: int

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> jax.Array:
    del train
    x = nn.Conv(self.width, (self.patch,) * 2, (self.patch,) * 2)(images)
    x = x.reshape(x.shape[0], -1, self.width)
    for _ in range(self.depth):
      y = nn.LayerNorm()(x).swapaxes(1, 2)
      x = x + Perceptron(self.tokens)(y).swapaxes(1, 2)
      x = x + Perceptron(self.channels)(nn.LayerNorm()(x))
    return nn.Dense(self.num_classes)(nn.LayerNorm()(x).mean(axis=1))


def space() -> FlaxSpace:
  """Five layers: patch, width, depth and the hidden widths of both kinds."""
  return FlaxSpace([
      Choice('patch', (4, 8)),
      Choice('width', (32, 48, 64, 96), default=1),
      Choice('depth', (2, 3, 4, 6), default=1),
      Choice('tokens', (16, 32, 64), default=1),
      Choice('channels', (64, 128, 256), default=1),
  ], build, scales=True)


def build(
    choices: dict[str, Any], num_classes: int, width: float = 1.0
) -> Mixer:
  """The network of some choices, perhaps with all widths multiplied."""
  widths = {
      name: max(round(width * choices[name]), 1)
      for name in ('width', 'tokens', 'channels')
  }
  return Mixer(num_classes=num_classes, **choices | widths)
