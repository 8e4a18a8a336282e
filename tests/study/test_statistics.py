"""Statistics against values found by hand, and Welch's test against SciPy's."""

import math

import numpy as np
import pytest
from scipy import stats

from layernas.study.statistics import compare
from layernas.study.statistics import describe
from layernas.study.statistics import holm
from layernas.study.statistics import mean
from layernas.study.statistics import pooled_deviation


def test_description_of_a_sample() -> None:
  assert describe([1.0, 2.0, 3.0, 4.0, 10.0]) == {
      'mean': 4.0, 'sd': pytest.approx(math.sqrt(10)), 'median': 3.0,
      'quartiles': [2.0, 4.0],
  }


def test_quartiles_are_interpolated() -> None:
  assert describe([1.0, 2.0, 3.0, 4.0])['quartiles'] == [1.75, 3.25]


def test_an_empty_sample_has_no_figures() -> None:
  assert set(describe([]).values()) == {None}
  assert mean([]) is None


def test_equal_values_have_exactly_no_spread() -> None:
  described = describe([94.373333] * 500)
  assert (described['mean'], described['sd']) == (94.373333, 0.0)


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


def test_swapping_the_samples_swaps_the_signs() -> None:
  row, swapped = compare([1, 2, 4], [5, 9]), compare([5, 9], [1, 2, 4])
  for name in ('difference', 'effect', 't'):
    assert row[name] == -swapped[name]
  assert row['p'] == swapped['p']


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


def test_holm_never_exceeds_one() -> None:
  assert holm([0.6, 0.5]) == [1.0, 1.0]
  assert holm([]) == []
