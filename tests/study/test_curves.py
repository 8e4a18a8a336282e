"""Curves of a few runs whose steps are known."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from layernas.study.curves import make_curve
from layernas.study.curves import make_grid
from layernas.study.curves import pack
from layernas.study.curves import unpack
from layernas.study.curves import values_on
from tests.study import tiny_study

_GRID = [0.0, 25.0, 50.0, 75.0, 100.0]
_RANDOM = [r for r in tiny_study.records() if r['method'] == 'random']


def test_grid_of_seconds() -> None:
  assert make_grid('seconds', 100.0, 5) == _GRID


def test_grid_of_few_trials_has_whole_numbers_once() -> None:
  assert make_grid('trials', 3, 120) == [0, 1, 2, 3]


@pytest.mark.parametrize(('clock', 'grid', 'values'), [
    # The step at 50 seconds counts from 50 seconds on.
    ('seconds', [0, 9.9, 10, 49.9, 50, 100], [None, None, 50, 50, 80, 80]),
    ('trials', [0, 1, 2, 3, 9], [None, 50, 50, 80, 80]),
])
def test_steps_of_a_run(clock, grid, values) -> None:
  found = values_on(grid, clock, tiny_study.records()[0])
  assert [None if np.isnan(v) else v for v in found] == values


def test_an_answer_that_overshot_counts_at_the_budget() -> None:
  assert values_on(_GRID, 'seconds', _RANDOM[2])[1:].tolist() == [
      50, 50, 50, 80
  ]


def test_a_run_without_answer_has_no_value() -> None:
  assert np.isnan(values_on(_GRID, 'seconds', _RANDOM[3])).all()


def test_mean_and_quartiles_over_the_runs_with_an_answer() -> None:
  curve = make_curve(_GRID, 'seconds', _RANDOM)
  assert curve['start'] == 1
  assert curve['mean'] == pytest.approx([160 / 3] * 3 + [190 / 3])
  assert curve['low'] == [50, 50, 50, 55]
  assert curve['high'] == [55, 55, 55, 70]


def test_a_curve_starts_where_half_of_the_runs_have_an_answer() -> None:
  late = tiny_study.record('random', 4, '0-0', (1, 60.0, 1.0, 50.0))
  assert make_curve(_GRID, 'seconds', [late, _RANDOM[3]])['start'] == 3
  assert make_curve(_GRID, 'seconds', [late, late, _RANDOM[0]])['start'] == 3
  assert make_curve(_GRID, 'seconds', [late, _RANDOM[3], _RANDOM[3]]) is None


def test_packed_curve_is_a_first_figure_and_differences() -> None:
  curve = {'start': 2, 'mean': [93.5, 94.25, 94.2], 'low': [1.0], 'high': [2.0]}
  assert pack(curve, 2) == {
      'start': 2, 'mean': [9350, 75, -5], 'low': [100], 'high': [200]
  }
  assert pack(None, 2) is None


@hypothesis.given(
    strategies.lists(strategies.floats(-1e4, 1e4), min_size=1, max_size=50),
    strategies.integers(0, 5),
)
def test_unpacking_gives_the_rounded_curve(figures, decimals) -> None:
  curve = dict.fromkeys(('mean', 'low', 'high'), figures) | {'start': 0}
  found = unpack(pack(curve, decimals), decimals)
  error = np.abs(found['mean'] - figures).max()
  assert error <= 0.5 * 10.0**-decimals + 1e-9
