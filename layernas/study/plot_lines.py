"""The curves of a study's methods and how they are drawn in every picture."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.study.curves import unpack

_SETTLED = 0.1
"""Share of the clock after which all means are inside the pictures."""

# Told apart also by most readers with a colour deficiency (after Okabe and
# Ito); black is left for the compared method.
_COLORS = (
    '#0072B2', '#009E73', '#CC79A7', '#E69F00', '#D55E00', '#56B4E9', '#8C510A',
    '#7B3FA0', '#7F7F7F', '#9AA600',
)

# One for each round through the colours: LayerNAS's and the baselines'.
_OURS = ('-', '-.', (0, (5, 1, 1, 1, 1, 1)))
_OTHERS = ('--', ':', (0, (1, 4)))


@dataclasses.dataclass(frozen=True)
class Line:
  """A method's curve.

  Attributes:
    name: of the method.
    label: its final mean and name.
    times: that it is known at.
    mean: at these times; likewise the quartiles.
    low: lower quartile.
    high: upper quartile.
    style: arguments of `Axes.plot`.
  """

  name: str
  label: str
  times: np.ndarray
  mean: np.ndarray
  low: np.ndarray
  high: np.ndarray
  style: Mapping[str, Any]

  @property
  def settled(self) -> np.ndarray:
    """Means after the first steep part, which pictures may cut off."""
    return self.mean[self.times >= _SETTLED * self.times[-1]]


def lines_of(
    summary: Mapping[str, Any], section: Mapping[str, Any]
) -> list[Line]:
  """Curves of all methods that have one, best final mean first.

  Args:
    summary: of the study.
    section: of it.

  Returns:
    What to draw.
  """
  benchmark = summary['benchmarks'][section['benchmark']]
  styles = line_styles(summary)
  lines = []
  methods = [(n, m) for n, m in section['methods'].items() if m['curve']]
  for name, method in sorted(methods, key=lambda pair: -pair[1]['mean']):
    curve = unpack(method['curve'], benchmark['decimals'])
    mean = f'{method["mean"]:.{max(benchmark["decimals"] - 1, 0)}f}'
    times = np.array(benchmark['grid'][curve.pop('start'):])
    lines.append(
        Line(name, f'{mean}  {name}', times, **curve, style=styles[name])
    )
  return lines


def line_styles(summary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
  """Line styles of all methods: LayerNAS solid, baselines dashed.

  Args:
    summary: of the study.

  Returns:
    By method, arguments of `Axes.plot`; the compared method is thick and
    black.
  """
  styles = {}
  others = [name for name in summary['methods'] if name != summary['compared']]
  for index, name in enumerate(others):
    kind = summary['methods'][name]['kind']
    lines = _OURS if kind == 'layernas' else _OTHERS
    turn = index // len(_COLORS) % len(lines)
    color = _COLORS[index % len(_COLORS)]
    styles[name] = {'color': color, 'ls': lines[turn], 'lw': 1.5}
  if summary['compared']:
    styles[summary['compared']] = {
        'color': '#000000', 'ls': '-', 'lw': 2.4, 'zorder': 3
    }
  return styles
