"""Axes with round ticks, and lines and bands in their pixels."""

import math
import sys

import pytest

from layernas.reports import charts
from layernas.reports.charts import Axis


@pytest.mark.parametrize(('low', 'high', 'texts'), [
    (0, 64, ['0', '20', '40', '60']),
    (-1.61, -1.52, ['-1.60', '-1.58', '-1.56', '-1.54', '-1.52']),
    (0.31, 0.39, ['0.32', '0.34', '0.36', '0.38']),
    (0, 12_000, ['0', '5,000', '10,000']),
    (1e-7, 3e-7, ['0.00000010', '0.00000015', '0.00000020', '0.00000025',
                  '0.00000030']),
])
def test_ticks_are_round(low: float, high: float, texts: list[str]) -> None:
  axis = Axis('', low, high, 100, 200)
  assert [tick.text for tick in axis.ticks] == texts
  for tick in axis.ticks:
    assert 100 <= tick.place <= 200


@pytest.mark.parametrize('values', [
    [], [0.0], [5.0], [1.0, 1.0], [-3.0], [5e-324, 0.0],
])
def test_values_that_are_all_alike_have_an_axis(values: list[float]) -> None:
  axis = charts.upwards('', values)
  assert axis.low < axis.high
  assert axis.ticks
  for value in values:
    assert charts.TOP < axis.place(value) < charts.HEIGHT - charts.BOTTOM


@pytest.mark.parametrize('extreme', [-sys.float_info.max, sys.float_info.max])
def test_the_largest_penalty_leaves_an_axis(extreme: float) -> None:
  axis = charts.upwards('', [extreme, 0.5])
  assert axis.ticks
  assert all(math.isfinite(axis.place(value)) for value in (extreme, 0.5))


def test_larger_values_stand_higher_and_further_right() -> None:
  up, right = charts.upwards('', [1, 2]), charts.across('', [1, 2])
  assert up.place(2) < up.place(1)
  assert right.place(2) > right.place(1)
  assert charts.across('', [5, 9], zero=True).place(0) == charts.LEFT


def test_a_line_of_steps() -> None:
  x, y = Axis('', 0, 10, 0, 100), Axis('', 0, 1, 100, 0)
  path = charts.steps(x, y, [(1, 0.5), (4, 0.75)], 10)
  assert path == 'M10.0 50.0H40.0V25.0H100.0'


@pytest.mark.parametrize(('low', 'high', 'pixels'), [
    (-math.inf, 5, (0, 50)),
    (2, math.inf, (20, 100)),
    (2, 5, (20, 50)),
    (-math.inf, math.inf, None),
    (-5, 20, None),
    (-math.inf, -1, None),
])
def test_a_band_ends_with_the_picture(
    low: float, high: float, pixels: tuple[float, float] | None
) -> None:
  assert charts.band(Axis('', 0, 10, 0, 100), low, high) == pixels
