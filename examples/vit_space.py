r"""A search space over a small vision transformer in two stages.

  ./launch.sh search --config=configs/cifar10_small.py \
    --config.space=examples.vit_space:space --config.target.high=4e6 \
    --config.training.optimizer=examples.own_optimizer:lion \
    --config.training.learning_rate=0.002 \
    --config.final.optimizer=examples.own_optimizer:lion \
    --config.final.learning_rate=0.002 --workdir=workdir/vit

The heads of an attention must divide its width: every width is a multiple of
every number of heads.
"""

import flax.linen as nn
import jax

from layernas.networks.flax_space import Choice
from layernas.networks.flax_space import FlaxSpace


class Encoder(nn.Module):
  """Attention and a perceptron, each behind a layer norm and added."""

  heads: int
  ratio: int

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]
    x += nn.MultiHeadDotProductAttention(self.heads)(nn.LayerNorm()(x))
    y = nn.gelu(nn.Dense(self.ratio * width)(nn.LayerNorm()(x)))
    return x + nn.Dense(width)(y)


class ViT(nn.Module):
  """Patches, a stage, pairs of neighbours merged, another stage."""

  num_classes: int
  patch: int
  widths: tuple[int, int]
  depths: tuple[int, int]
  heads: tuple[int, int]
  ratios: tuple[int, int]

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> jax.Array:
    del train
    size = self.patch
    for stage, width in enumerate(self.widths):
      images = nn.Conv(width, (size, size), size)(images)
      x = images.reshape(len(images), -1, width)
      x += self.param(f'places{stage}', nn.initializers.zeros, x.shape[1:])
      for _ in range(self.depths[stage]):
        x = Encoder(self.heads[stage], self.ratios[stage])(x)
      images, size = x.reshape(images.shape), 2
    return nn.Dense(self.num_classes)(nn.LayerNorm()(x).mean(axis=1))


def space() -> FlaxSpace:
  """Nine layers: patch, and width, depth, heads and MLP ratio of each stage."""
  layers = [Choice('patch', (4, 8))]
  for stage, widths in enumerate(((16, 32, 48), (32, 48, 64)), 1):
    layers += [
        Choice(f'width{stage}', widths, default=1),
        Choice(f'depth{stage}', (1, 2, 3), default=1),
        Choice(f'heads{stage}', (1, 2, 4), default=1),
        Choice(f'ratio{stage}', (1, 2, 4), default=1),
    ]
  return FlaxSpace(layers, build, scales=True)


def build(
    choices: dict[str, int], num_classes: int, width: float = 1.0
) -> ViT:
  """The network of some choices; widths stay multiples of four."""
  widths, *others = (
      (choices[f'{name}1'], choices[f'{name}2'])
      for name in ('width', 'depth', 'heads', 'ratio')
  )
  widths = tuple(max(round(width * one / 4), 1) * 4 for one in widths)
  return ViT(num_classes, choices['patch'], widths, *others)
