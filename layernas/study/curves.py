"""Best-so-far curves: the answer's figure against the clock, over runs."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

# Columns of a run's curve, see `run.play`.
_CLOCKS = {'trials': 0, 'seconds': 1}
_REPORTED = 3

BANDS = ('mean', 'low', 'high')
"""What a curve has at every point: mean, lower and upper quartile."""


def make_grid(clock: str, end: float, points: int) -> list[float]:
  """Times that curves are shown at.

  Args:
    clock: trials or seconds.
    end: the budget.
    points: wanted; of a short budget in trials there are fewer.

  Returns:
    Increasing times from 0 to the budget; whole numbers for trials, else
    rounded to thousandths.
  """
  grid = np.linspace(0, end, points)
  if clock == 'trials':
    return np.unique(grid.round().astype(int)).tolist()
  return grid.round(3).tolist()


def values_on(
    grid: Sequence[float], clock: str, record: Mapping[str, Any]
) -> np.ndarray:
  """A run's curve at given times.

  Args:
    grid: increasing times, the last one the budget.
    clock: trials or seconds.
    record: of the run.

  Returns:
    Floats [times]: the figure of the answer so far, NaN before the first one.
    An answer whose query overshot the budget counts at the budget.
  """
  rows = record['curve']
  if not rows:
    return np.full(len(grid), np.nan)
  times = np.minimum([row[_CLOCKS[clock]] for row in rows], grid[-1])
  figures = np.array([np.nan, *(row[_REPORTED] for row in rows)])
  return figures[np.searchsorted(times, grid, 'right')]


def make_curve(
    grid: Sequence[float], clock: str, records: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
  """Mean and quartiles of a method's runs at given times.

  Args:
    grid: increasing times, the last one the budget.
    clock: trials or seconds.
    records: of the runs.

  Returns:
    `start`, the index in the grid of the first time at which at least half of
    the runs have an answer, and from there on lists `mean`, `low` and `high`
    (quartiles) over the runs that have one. None where there is no such time.
  """
  values = np.stack([values_on(grid, clock, record) for record in records])
  answered = np.isfinite(values).sum(axis=0)
  if 2 * answered[-1] < len(records):
    return None
  start = int(np.argmax(2 * answered >= len(records)))
  shown = values[:, start:]
  low, high = np.nanpercentile(shown, (25, 75), axis=0).tolist()
  mean = np.nanmean(shown, axis=0).tolist()
  return {'start': start, 'mean': mean, 'low': low, 'high': high}


def pack(curve: Mapping[str, Any] | None, decimals: int) -> Any:
  """A curve in a third of the text: integer differences of rounded figures.

  Args:
    curve: of `make_curve`.
    decimals: that its figures are rounded to.

  Returns:
    The same mapping, a list being its first figure and then the differences to
    the figure before, all in units of the last decimal.
  """
  if curve is None:
    return None
  packed = {'start': curve['start']}
  for band in BANDS:
    units = np.rint(np.multiply(curve[band], 10.0**decimals)).astype(int)
    packed[band] = np.diff(units, prepend=0).tolist()
  return packed


def unpack(packed: Mapping[str, Any], decimals: int) -> dict[str, Any]:
  """Inverse of `pack`, up to its rounding; figures come as arrays."""
  curve = {'start': packed['start']}
  for band in BANDS:
    curve[band] = np.cumsum(packed[band]) / 10.0**decimals
  return curve
