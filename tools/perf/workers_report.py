"""Tables and picture of tools/perf/workers.py, from its workers.json."""

import pathlib
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from layernas.reports.plots import save_picture
from layernas.study.report import table_text
from layernas.study.report_tables import Table

matplotlib.use('Agg')

OVERLAPS = ('none', 'certain', 'leading')
"""What idle workers train ahead."""

SHOWN = (4, 16, 64, 256)
"""Numbers of workers in the tables."""

DETAILED = 64
"""Number of workers of which it is told where their time goes."""

LINES = ('-', '--', ':')
"""Of one colour."""

FOREGROUND = ('v3_small_60m, ', 'v3_large_220m, ')
"""Spaces of the lower pictures; the last one also has the other schedules."""

BUCKETS = ('H = 100', 'H = 5')
"""Of the sweeps in the pictures."""

Results = Mapping[str, Any]


def tables(results: Results) -> list[str]:
  """The tables of docs/scale.md.

  Args:
    results: content of workers.json.

  Returns:
    Markdown: speed-ups and where the time goes; what training ahead gives.
  """
  cases = list(results['cases'].values())
  return [_speed_ups(cases), _overlaps(cases)]


def _speed_ups(cases: list[Results]) -> str:
  header = (
      'config, schedule', 'candidates', 'generations',
      *(f'{workers} workers' for workers in SHOWN),
      f'at {DETAILED}: barriers', 'too few', 'tail', 'bound',
  )
  rows = []
  for case in cases:
    runs = case['runs']['none']
    detailed = runs[str(DETAILED)]
    rows.append((
        _name(case), f'{case["candidates"]:,}', f'{case["generations"]:,}',
        *(_number(runs[str(workers)]['speed_up']) for workers in SHOWN),
        *(_share(detailed[part]) for part in ('barriers', 'spare', 'tail')),
        _number(detailed['bound']),
    ))
  return table_text(Table('', header, tuple(rows)))


def _overlaps(cases: list[Results]) -> str:
  header = ['config, schedule']
  for workers in SHOWN[1:]:
    header += [f'{workers} workers: none', *OVERLAPS[1:], 'wasted']
  rows = []
  for case in cases:
    if len(case['runs']) == 1:
      continue
    row = [_name(case)]
    for workers in map(str, SHOWN[1:]):
      row += [
          _number(case['runs'][overlap][workers]['speed_up'])
          for overlap in OVERLAPS
      ]
      row.append(_share(case['runs'][OVERLAPS[-1]][workers]['wasted']))
    rows.append(tuple(row))
  return table_text(Table('', tuple(header), tuple(rows)))


def _name(case: Results) -> str:
  return f'{case["config"].removeprefix("imagenet_")}, {case["schedule"]}'


def _number(value: float) -> str:
  return f'{value:.1f}'


def _share(value: float) -> str:
  return f'{100 * value:.1f} %'


def save_plot(results: Results, path: pathlib.Path) -> None:
  """Draws speed-ups, what training ahead gives, and who idles where.

  Args:
    results: content of workers.json.
    path: of the PNG.
  """
  figure, axes = plt.subplots(2, 2, figsize=(11, 9), layout='constrained')
  cases = {_name(case): case for case in results['cases'].values()}
  sweeps = [
      name for name in cases if name.endswith(BUCKETS) and 'sweep' in name
  ]
  foreground = [name for name in sweeps if name.startswith(FOREGROUND)]
  schedules = [
      name for name in cases
      if name.startswith(FOREGROUND[1]) and 'sweep' not in name
  ]
  _draw_speed_ups(axes[0, 0], cases, sweeps, len(BUCKETS))
  _draw_speed_ups(axes[0, 1], cases, schedules, 1)
  for number, name in enumerate(foreground):
    _draw_overlaps(axes[1, 0], cases[name], f'C{number}')
    _draw_layers(axes[1, 1], cases[name], f'C{number}')
  axes[1, 0].set_ylabel('speed-up / workers')
  axes[1, 0].set_ylim(0, 1.02)
  axes[1, 1].set_ylabel(f'idle, % of all time of {DETAILED} workers')
  axes[1, 1].set_xlabel('layer')
  axes[1, 1].xaxis.set_major_locator(MaxNLocator(integer=True))
  # The legend is above the lines.
  axes[1, 1].set_ylim(0, 1.5 * axes[1, 1].get_ylim()[1])
  for one in axes.flat[:3]:
    one.set_xlabel('workers')
    one.set_xscale('log', base=2)
    one.xaxis.set_major_formatter('{x:g}')
  for one in axes.flat:
    one.grid(alpha=0.3)
    one.legend(fontsize=7)
  save_picture(figure, path, dpi=100)


def _draw_speed_ups(
    axes: Axes, cases: Results, names: list[str], lines: int
) -> None:
  """Speed-up against workers, so many lines of each colour."""
  for number, name in enumerate(names):
    runs = cases[name]['runs']['none']
    axes.plot(
        list(map(int, runs)), [run['speed_up'] for run in runs.values()],
        LINES[number % lines], color=f'C{number // lines}', label=name,
    )
  axes.axline((1, 1), (2, 2), color='k', lw=0.8, label='ideal')
  axes.set_yscale('log', base=2)
  axes.yaxis.set_major_formatter('{x:g}')
  axes.set_ylabel('speed-up, nothing trained ahead')


def _draw_overlaps(axes: Axes, case: Results, color: str) -> None:
  """Speed-up a worker against workers, a line for each overlap."""
  for line, (overlap, runs) in zip(LINES, case['runs'].items(), strict=True):
    axes.plot(
        list(map(int, runs)), [run['efficiency'] for run in runs.values()],
        line, color=color, label=f'{_name(case)}: {overlap}',
    )


def _draw_layers(axes: Axes, case: Results, color: str) -> None:
  """Idle workers by layer, a line for each overlap."""
  for line, (overlap, runs) in zip(LINES, case['runs'].items(), strict=True):
    idle = runs[str(DETAILED)]['idle_by_layer']
    axes.plot(
        list(map(int, idle)), [100 * share for share in idle.values()], line,
        color=color, marker='.', label=f'{_name(case)}: {overlap}',
    )
