"""A decision trace as a picture: one panel per layer."""

import math
from collections.abc import Mapping
from typing import Any

from etils import epath
from matplotlib.axes import Axes

from layernas.reports.plots import save_picture
from layernas.reports.plots import subplots
from layernas.reports.trace_view import AxisView
from layernas.reports.trace_view import CostFormat
from layernas.reports.trace_view import axis_view
from layernas.reports.trace_view import cost_format

_COLUMNS = 2

_MARKERS = {
    'lost': {
        'marker': 'o', 's': 30, 'facecolor': 'white', 'edgecolor': '0.5',
        'label': 'lost or displaced',
    },
    'kept': {'marker': 'o', 's': 30, 'color': 'tab:blue', 'label': 'kept'},
    'path': {
        'marker': '*', 's': 150, 'color': 'tab:orange', 'edgecolor': 'black',
        'lw': 0.5, 'label': "winner's prefix",
    },
}


def save_trace_plot(trace: Mapping[str, Any], path: epath.PathLike) -> bool:
  """Draws the layers of the pass that found the winner, or of the last one.

  Args:
    trace: `Trace.to_dict()`.
    path: of the PNG.

  Returns:
    Whether there was anything to draw.
  """
  number = trace['incumbents'][-1]['pass'] if trace['incumbents'] else -1
  layers = [
      layer for one in trace['passes'][number:][:1] for layer in one['layers']
      if layer['buckets']
  ]
  if not layers:
    return False
  rows = math.ceil(len(layers) / _COLUMNS)
  figure, panels = subplots(
      rows, _COLUMNS, figsize=(5 * _COLUMNS, 2 * rows + 0.5), squeeze=False,
  )
  costs = cost_format(trace)
  for layer, axes in zip(layers, panels.flat, strict=False):
    view = axis_view(layer, trace['problem']['target'], costs)
    _draw(axes, view, costs)
    note = f' ({view.note})' if view.note else ''
    axes.set_title(f'{layer["length"]}. {layer["layer"]}{note}', fontsize=9)
  for axes in panels.flat[len(layers):]:
    axes.axis('off')
  figure.supxlabel(costs.unit, fontsize=9)
  figure.supylabel('reward', fontsize=9)
  named = {
      label: handle for axes in panels.flat
      for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
  }
  figure.legend(
      named.values(), named.keys(), loc='outside upper center',
      ncols=len(named), fontsize=8, frameon=False,
  )
  save_picture(figure, path, dpi=110)
  return True


def _draw(axes: Axes, view: AxisView, costs: CostFormat) -> None:
  """One panel."""
  scale = costs.divisor
  for edge in view.edges:
    axes.axvline(edge / scale, color='0.75', lw=0.8, ls='--', zorder=0)
  if view.target:
    low, high = view.target
    axes.axvspan(low / scale, high / scale, color='tab:green', alpha=0.1,
                 label='target interval')
  for kind, style in _MARKERS.items():
    points = [point for point in view.points if point.kind == kind]
    if points:
      axes.scatter(
          [point.cost / scale for point in points],
          [point.reward for point in points], **style,
      )
  low = axes.get_ylim()[0]
  _mark_bottom(axes, [c / scale for c in view.infeasible], low, 'cannot reach'
               ' the target', '|')
  for kind, marker in (('failed', 'x'), ('stopped', 's')):
    costs_of = [p.cost / scale for p in view.points if p.kind == kind]
    _mark_bottom(axes, costs_of, low, kind, marker)
  axes.set_xlim(*(end / scale for end in view.ends))
  axes.tick_params(labelsize=8)


def _mark_bottom(
    axes: Axes, costs: list[float], low: float, label: str, marker: str
) -> None:
  if costs:
    axes.plot(costs, [low] * len(costs), marker, color='tab:red', ms=7,
              clip_on=False, label=label)
    axes.set_ylim(bottom=low)
