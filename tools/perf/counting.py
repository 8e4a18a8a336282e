"""Times how long a space of Flax modules takes to be ready.

  .venv/bin/python tools/perf/counting.py > docs/results/counting/output.txt

The space has twelve layers of five options: width, depth and kernel of four
residual stages. Its multiply-adds are counted from traces, which layers act
together is found, and the factors are verified; then the same from what a
workdir keeps. Prints seconds, the number of networks, and the machine.
"""

import json
import time
from typing import Any

import flax.linen as nn
import jax

from layernas.networks.flax_space import Choice
from layernas.networks.flax_space import FlaxSpace
from layernas.runs import cli
from tools.perf.machine import machine

STAGES = 4


class Residual(nn.Module):
  """Four stages of residual blocks on images of 32 pixels."""

  num_classes: int
  widths: tuple[int, ...]
  depths: tuple[int, ...]
  kernels: tuple[int, ...]

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    x = nn.Conv(16, (3, 3))(x)
    for stage, (width, depth, kernel) in enumerate(
        zip(self.widths, self.depths, self.kernels, strict=True)
    ):
      x = nn.Conv(width, (3, 3), 2 if stage else 1, use_bias=False)(x)
      for _ in range(depth):
        y = nn.Conv(width, (kernel, kernel), use_bias=False)(x)
        y = nn.relu(nn.BatchNorm(use_running_average=not train)(y))
        x += nn.Conv(width, (1, 1))(y)
    return nn.Dense(self.num_classes)(x.mean((1, 2)))


def space() -> FlaxSpace:
  """Twelve layers of five options."""
  layers = []
  for stage in range(STAGES):
    layers += [
        Choice(f'widths{stage}', tuple(8 * 2**stage + 4 * i for i in range(5))),
        Choice(f'depths{stage}', (1, 2, 3, 4, 5)),
        Choice(f'kernels{stage}', (1, 3, 5, 7, 9)),
    ]

  def build(choices: dict[str, Any], num_classes: int) -> Residual:
    return Residual(num_classes, **{
        name: tuple(choices[f'{name}{stage}'] for stage in range(STAGES))
        for name in ('widths', 'depths', 'kernels')
    })

  return FlaxSpace(layers, build)


def main() -> None:
  """Times both and prints."""
  first = space()
  begun = time.perf_counter()
  first.cost('madds', 32, 10)
  counted = time.perf_counter() - begun
  print(f'madds: {first.found[0]}')
  print(f'counted: {counted:.1f} s')
  again = space()
  again.facts = json.loads(json.dumps(first.facts))
  begun = time.perf_counter()
  again.cost('madds', 32, 10)
  print(f'from what was kept: {time.perf_counter() - begun:.2f} s')
  print(f'machine: {machine()}')


if __name__ == '__main__':
  cli.run(main)
