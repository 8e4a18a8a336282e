"""How far the sum of modules is from whole networks: errors, picture, table."""

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from etils import epath
from matplotlib import pyplot as plt
from rich import box
from rich.table import Table
from scipy import stats

from layernas.pictures import save_picture

matplotlib.use('Agg')


@dataclasses.dataclass(frozen=True)
class Point:
  """A whole network, timed and predicted; milliseconds.

  Attributes:
    architecture: its id.
    whole: median time of the network.
    lower_quartile: of that time.
    upper_quartile: of that time.
    modules: sum of the medians of its modules.
  """

  architecture: str
  whole: float
  lower_quartile: float
  upper_quartile: float
  modules: float


def sum_errors(points: Sequence[Point]) -> dict[str, float | None]:
  """Errors of the sums against the whole networks.

  Args:
    points: at least two.

  Returns:
    Signed and absolute mean error and the largest absolute one, in percent of
    the whole network; correlations over the networks, None where all times are
    equal.
  """
  sums = np.array([point.modules for point in points])
  wholes = np.array([point.whole for point in points])
  errors = 100 * (sums - wholes) / wholes
  varies = np.ptp(sums) > 0 and np.ptp(wholes) > 0
  return {
      'mean_percent': errors.mean().item(),
      'mean_absolute_percent': np.abs(errors).mean().item(),
      'largest_absolute_percent': np.abs(errors).max().item(),
      'pearson': _statistic(stats.pearsonr, sums, wholes) if varies else None,
      'spearman': _statistic(stats.spearmanr, sums, wholes) if varies else None,
  }


def save_sums(
    points: Sequence[Point], errors: Mapping[str, Any], path: epath.PathLike
) -> None:
  """Draws the sum of modules against the whole network, with the diagonal.

  Args:
    points: one for each network; bars are the quartiles of the whole.
    errors: as `sum_errors` returns them.
    path: of the PNG.
  """
  figure, axes = plt.subplots(figsize=(5.5, 5), layout='constrained')
  wholes = np.array([point.whole for point in points])
  sums = np.array([point.modules for point in points])
  # A median of few calls may stand on a quartile, never beyond it.
  spread = np.abs([
      wholes - [point.lower_quartile for point in points],
      [point.upper_quartile for point in points] - wholes,
  ])
  axes.errorbar(
      wholes, sums, xerr=spread, fmt='o', ms=4, lw=0.8, alpha=0.7,
      label='networks (bars: quartiles)',
  )
  both = np.concatenate([wholes, sums])
  ends = [both.min() * 0.95, both.max() * 1.05]
  axes.plot(ends, ends, color='0.5', lw=1, label='sum = whole')
  axes.set(xlim=ends, ylim=ends, aspect='equal')
  axes.set_xlabel('whole network, ms')
  axes.set_ylabel('sum of its modules, ms')
  axes.set_title(
      f'mean error {errors["mean_percent"]:+.1f} %, absolute'
      f' {errors["mean_absolute_percent"]:.1f} %', fontsize=10,
  )
  axes.legend(loc='upper left', fontsize=8)
  save_picture(figure, path)


def summary_table(result: Mapping[str, Any]) -> Table:
  """What was measured, and how far sums are from whole networks.

  Args:
    result: content of latency.json.

  Returns:
    A rich table.
  """
  table = Table(title='latency measured', box=box.SIMPLE, show_header=False)
  errors, device = result['errors'], result['device']
  rows = [
      ('device', f'{device["kind"]} ({device["platform"]},'
                 f' {device["cpu_cores"]} CPU cores)'),
      ('batch', f'{result["batch_size"]}'),
      ('modules', f'{result["modules"]}'),
      ('whole networks', f'{len(result["points"])}'),
      ('sum against whole, mean error', f'{errors["mean_percent"]:+.1f} %'),
      ('mean absolute error', f'{errors["mean_absolute_percent"]:.1f} %'),
      ('largest absolute error', f'{errors["largest_absolute_percent"]:.1f} %'),
      ('Pearson correlation', _number(errors['pearson'])),
      ('Spearman correlation', _number(errors['spearman'])),
      ('empty pass of the loop', f'{1e3 * result["empty_loop"]:.2f} µs'),
      ('empty call', f'{1e3 * result["empty_call"]:.2f} µs'),
  ]
  for row in rows:
    table.add_row(*row)
  return table


def _statistic(correlation: Any, x: np.ndarray, y: np.ndarray) -> float | None:
  value = float(correlation(x, y).statistic)
  return value if math.isfinite(value) else None


def _number(value: float | None) -> str:
  return 'none, all times are equal' if value is None else f'{value:.3f}'
