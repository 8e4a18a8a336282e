"""Pictures of a study: best-so-far curves and regret against the clock."""

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from matplotlib.ticker import NullFormatter

from layernas.reports.plots import save_picture
from layernas.reports.plots import subplots
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

_DECADES = 2.5
"""Of regret that are shown, below the largest settled one."""

_COLUMNS = 3
"""Of small pictures side by side."""

Section = Mapping[str, Any]


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
  sign = benchmark.get('report_sign', 1)
  for name, method in sorted(methods, key=lambda pair: -sign * pair[1]['mean']):
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


def save_curves(
    summary: Section, section: Section, path: epath.PathLike
) -> None:
  """Draws the figure of the answer so far, mean of the runs, all methods.

  Args:
    summary: of the study.
    section: of it.
    path: of the PNG.
  """
  benchmark = summary['benchmarks'][section['benchmark']]
  lines = lines_of(summary, section)
  figure, axes = _open(benchmark, len(lines))
  for line in lines:
    _draw(axes, line, line.mean)
  _set_limits(axes, lines, benchmark)
  axes.set_ylabel(_metric(benchmark))
  axes.set_title(_title(section), fontsize=10)
  _save_with_legend(figure, axes, path)


def save_regret(
    summary: Section, section: Section, path: epath.PathLike
) -> None:
  """Draws how far the means fall short of the optimum, on a logarithmic axis.

  Args:
    summary: of the study.
    section: of it.
    path: of the PNG.
  """
  benchmark = summary['benchmarks'][section['benchmark']]
  lines = lines_of(summary, section)
  figure, axes = _open(benchmark, len(lines))
  sign, optimum = benchmark.get('report_sign', 1), benchmark['optimum']
  worst = max(
      ((sign * (optimum - line.settled)).max() for line in lines), default=0.0
  )
  least = max(worst / 10**_DECADES, 10.0 ** -benchmark['decimals'])
  for line in lines:
    # What is smaller, zero too, runs along the lower edge.
    _draw(axes, line, np.maximum(sign * (optimum - line.mean), least))
  axes.set_yscale('log')
  axes.set_ylim(least / 1.1, max(worst, 10 * least) * 1.3)
  axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
  axes.yaxis.set_major_formatter('{x:g}')
  axes.yaxis.set_minor_formatter(NullFormatter())
  axes.set_ylabel(f'regret: {_metric(benchmark)}')
  axes.set_title(_title(section), fontsize=10)
  _save_with_legend(figure, axes, path)


def save_bands(
    summary: Section, section: Section, path: epath.PathLike
) -> None:
  """Draws each method apart: mean, quartiles, and the compared one's mean.

  Args:
    summary: of the study.
    section: of it.
    path: of the PNG.
  """
  benchmark = summary['benchmarks'][section['benchmark']]
  lines = lines_of(summary, section)
  compared = [x for x in lines if x.name == summary['compared']]
  rows = max(1, math.ceil(len(lines) / _COLUMNS))
  figure, grid = subplots(
      rows, _COLUMNS, figsize=(6.4, 0.6 + 1.6 * rows), sharex=True, sharey=True,
      squeeze=False,
  )
  for axes in grid.flat[len(lines):]:
    axes.set_axis_off()
  for axes, line in zip(grid.flat, lines, strict=False):
    _draw_band(axes, line, compared)
    _set_limits(axes, lines, benchmark)
    _dress(axes, benchmark)
    axes.tick_params(labelsize=7)
    axes.locator_params(axis='x', nbins=3)
  figure.supxlabel(_clock(benchmark), fontsize=9)
  figure.supylabel(_metric(benchmark), fontsize=9)
  figure.suptitle(_title(section), fontsize=10)
  save_picture(figure, path, dpi=120)


def _draw(axes: Axes, line: Line, values: np.ndarray) -> None:
  axes.plot(
      line.times, values, drawstyle='steps-post', label=line.label,
      **line.style,
  )


def _draw_band(axes: Axes, line: Line, compared: Sequence[Line]) -> None:
  color = line.style['color']
  axes.fill_between(
      line.times, line.low, line.high, step='post', color=color, alpha=0.25,
      lw=0,
  )
  for other in compared:
    axes.plot(
        other.times, other.mean, drawstyle='steps-post', color='0.45', lw=0.8
    )
  axes.plot(line.times, line.mean, drawstyle='steps-post', color=color, lw=1.6)
  axes.set_title(line.label, fontsize=7.5)


def _set_limits(
    axes: Axes, lines: Sequence[Line], benchmark: Section
) -> None:
  """Zooms to the settled means and marks the optimum where it is known."""
  sign = benchmark.get('report_sign', 1)
  shown = [(sign * line.mean).max() for line in lines]
  if benchmark['optimum'] is not None:
    axes.axhline(benchmark['optimum'], color='0.4', lw=0.8, ls=(0, (6, 3)))
    shown.append(sign * benchmark['optimum'])
  if not shown:
    return
  low = min([*shown, *((sign * x.settled).min() for x in lines)])
  margin = 0.05 * (max(shown) - low) or 1.0
  axes.set_ylim(*sorted((sign * (low - margin), sign * (max(shown) + margin))))


def _open(benchmark: Section, lines: int) -> tuple[Figure, Axes]:
  """Axes with room for the legend below."""
  height = 4.0 + 0.2 * math.ceil(lines / 2)
  figure, axes = subplots(figsize=(6.4, height))
  axes.set_xlabel(_clock(benchmark))
  _dress(axes, benchmark)
  return figure, axes


def _dress(axes: Axes, benchmark: Section) -> None:
  axes.set_xlim(0, benchmark['grid'][-1])
  axes.xaxis.set_major_formatter('{x:,.0f}')
  axes.grid(alpha=0.25)


def _clock(benchmark: Section) -> str:
  simulated = 'simulated ' if benchmark['clock'] == 'seconds' else ''
  return f'{simulated}{benchmark["clock"]}'


def _metric(benchmark: Section) -> str:
  return benchmark['metric'] or benchmark['report']


def _title(section: Section) -> str:
  return f'{section["benchmark"]}, {section["accounting"].replace("_", " ")}'


def _save_with_legend(
    figure: Figure, axes: Axes, path: epath.PathLike
) -> None:
  if axes.get_legend_handles_labels()[0]:
    figure.legend(
        loc='outside lower center', ncols=2, fontsize=9, frameon=False,
        handlelength=3.2,
    )
  save_picture(figure, path, dpi=120)
