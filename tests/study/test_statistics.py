"""Statistics and curves against values found by hand, and SciPy's."""

import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from scipy import stats

from layernas.study.curves import make_curve
from layernas.study.curves import make_grid
from layernas.study.curves import pack
from layernas.study.curves import unpack
from layernas.study.curves import values_on
from layernas.study.statistics import compare
from layernas.study.statistics import describe
from layernas.study.statistics import holm
from layernas.study.statistics import mean
from layernas.study.statistics import pooled_deviation
from tests.study import tiny_study

_GRID = [0.0, 25.0, 50.0, 75.0, 100.0]
_RANDOM = [r for r in tiny_study.records() if r['method'] == 'random']


def test_description_of_a_sample() -> None:
  assert describe([1.0, 2.0, 3.0, 4.0, 10.0]) == {
      'mean': 4.0, 'sd': pytest.approx(math.sqrt(10)), 'median': 3.0,
      'quartiles': [2.0, 4.0],
  }


def test_an_empty_sample_has_no_figures() -> None:
  assert set(describe([]).values()) == {None}
  assert mean([]) is None


def test_welch_by_hand() -> None:
  # Variances 5/2 and 4; squared error 5/2/5 + 4/3 = 11/6.
  row = compare([1, 2, 3, 4, 5], [2, 4, 6])
  assert row['difference'] == -1
  assert row['t'] == pytest.approx(-1 / math.sqrt(11 / 6))
  assert row['degrees'] == pytest.approx(
      (11 / 6) ** 2 / (0.5**2 / 4 + (4 / 3) ** 2 / 2)
  )
  # Pooled variance (4 * 5/2 + 2 * 4) / 6 = 3.
  assert row['effect'] == pytest.approx(-1 / math.sqrt(3))
  assert row['reason'] == ''


def test_welch_as_scipy() -> None:
  rng = np.random.default_rng(0)
  first, second = rng.normal(0, 1, 40), rng.normal(0.5, 3, 25)
  row = compare(first, second)
  other = stats.ttest_ind(first, second, equal_var=False)
  assert row['t'] == pytest.approx(other.statistic)
  assert row['degrees'] == pytest.approx(other.df)
  assert row['p'] == pytest.approx(other.pvalue)


@pytest.mark.parametrize('copies', [2, 500])
def test_against_a_constant_it_is_the_one_sample_test(copies: int) -> None:
  row = compare([5.0] * copies, [1.0, 2.0, 3.0])
  other = stats.ttest_1samp([1.0, 2.0, 3.0], 5.0)
  assert row['t'] == pytest.approx(-other.statistic)
  assert row['degrees'] == pytest.approx(2)
  assert row['p'] == pytest.approx(other.pvalue)
  assert row['effect'] == pytest.approx(3.0)


@pytest.mark.parametrize(('first', 'second', 'difference', 'reason'), [
    ([2.0, 2.0], [1.0, 1.0], 1.0, 'neither method varies'),
    ([2.0], [1.0, 3.0], 0.0, 'a method has fewer than two answers'),
    ([], [1.0, 3.0], None, 'a method has fewer than two answers'),
])
def test_where_there_is_no_test(first, second, difference, reason) -> None:
  assert compare(first, second) == {
      'difference': difference, 'effect': None, 't': None, 'degrees': None,
      'p': None, 'reason': reason,
  }


def test_a_constant_sample_does_not_narrow_the_pooled_spread() -> None:
  assert pooled_deviation([7.0] * 500, [1.0, 3.0]) == math.sqrt(2)


def test_holm_on_a_textbook_family() -> None:
  assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
      [0.03, 0.06, 0.06, 0.02]
  )


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
