r"""A search space over a ResNet of one's own: widths, depths and block types.

  ./launch.sh search --config=configs/cifar10_small.py \
    --config.space=examples.resnet_space:space --config.target.high=4e6 \
    --workdir=workdir/resnet

The module is plain Flax; its multiply-adds are counted from its traces.
"""

import flax.linen as nn
import jax

from layernas.networks.flax_space import Choice
from layernas.networks.flax_space import FlaxSpace


class Block(nn.Module):
  """Two 3x3 convolutions, or a bottleneck of 1x1, 3x3 and 1x1."""

  filters: int
  stride: int
  bottleneck: bool

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    def conv(x: jax.Array, filters: int, kernel: int, stride: int) -> jax.Array:
      x = nn.Conv(filters, (kernel, kernel), stride, use_bias=False)(x)
      return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)

    inner = max(self.filters // 4, 4) if self.bottleneck else self.filters
    y = nn.relu(conv(x, inner, 1, 1)) if self.bottleneck else x
    y = nn.relu(conv(y, inner, 3, self.stride))
    y = conv(y, self.filters, 1 if self.bottleneck else 3, 1)
    if x.shape != y.shape:
      x = conv(x, self.filters, 1, self.stride)
    return nn.relu(x + y)


class ResNet(nn.Module):
  """Three stages, of which the last two halve the image."""

  num_classes: int
  widths: tuple[int, ...]
  depths: tuple[int, ...]
  bottlenecks: tuple[bool, ...]

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> jax.Array:
    x = nn.Conv(16, (3, 3), 2, use_bias=False)(images)
    x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
    for stage, depth in enumerate(self.depths):
      for index in range(depth):
        stride = 2 if stage and not index else 1
        x = Block(self.widths[stage], stride, self.bottlenecks[stage])(x, train)
    return nn.Dense(self.num_classes)(x.mean(axis=(1, 2)))


def space() -> FlaxSpace:
  """Nine layers: width, depth and block type of each stage."""
  layers = []
  for stage, widths in enumerate(((8, 12, 16), (16, 24, 32), (32, 48, 64)), 1):
    layers += [
        Choice(f'width{stage}', widths, default=1),
        Choice(f'depth{stage}', (1, 2, 3)),
        Choice(f'bottleneck{stage}', (False, True)),
    ]

  def build(
      choices: dict[str, int], num_classes: int, width: float = 1.0
  ) -> ResNet:
    widths, depths, bottlenecks = (
        tuple(choices[f'{name}{stage}'] for stage in (1, 2, 3))
        for name in ('width', 'depth', 'bottleneck')
    )
    widths = tuple(max(round(width * one), 1) for one in widths)
    return ResNet(num_classes, widths, depths, bottlenecks)

  return FlaxSpace(layers, build, scales=True)
