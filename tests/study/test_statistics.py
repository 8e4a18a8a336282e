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
from tests.test_results import long

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


def apart(figures, prefix=''):
  """Runs that all end in networks of their own."""
  return [(f'{prefix}{index}', y) for index, y in enumerate(figures)]


def test_distinct_answers_are_welch_by_hand() -> None:
  # Variances 5/2 and 4; squared error 5/2/5 + 4/3 = 11/6.
  row = compare(apart([1, 2, 3, 4, 5], 'a'), apart([2, 4, 6], 'b'))
  assert row['difference'] == -1
  assert row['t'] == pytest.approx(-1 / math.sqrt(11 / 6))
  assert row['degrees'] == pytest.approx(
      (11 / 6) ** 2 / (0.5**2 / 4 + (4 / 3) ** 2 / 2)
  )
  # Pooled variance (4 * 5/2 + 2 * 4) / 6 = 3.
  assert row['effect'] == pytest.approx(-1 / math.sqrt(3))
  assert row['reason'] == ''


def test_distinct_answers_are_welch_as_scipy() -> None:
  rng = np.random.default_rng(0)
  first, second = rng.normal(0, 1, 40), rng.normal(0.5, 3, 25)
  row = compare(apart(first, 'a'), apart(second, 'b'))
  other = stats.ttest_ind(first, second, equal_var=False)
  assert row['t'] == pytest.approx(other.statistic)
  assert row['degrees'] == pytest.approx(other.df)
  assert row['p'] == pytest.approx(other.pvalue)


@pytest.mark.parametrize('copies', [2, 100])
def test_more_runs_with_the_same_answers_are_no_more_samples(copies) -> None:
  first, second = apart([1, 2, 3, 4, 5], 'a'), apart([2, 4, 6], 'b')
  once, often = compare(first, second), compare(first * copies, second)
  for name in ('difference', 't', 'degrees', 'p'):
    assert often[name] == pytest.approx(once[name])


def test_uneven_shares_by_hand() -> None:
  """Shares 3/4 and 1/4 of figures 0 and 4: 1.6 effective answers."""
  row = compare(
      [('a', 0.0)] * 3 + [('b', 4.0)], [('c', 5.0), ('d', 7.0)] * 2
  )
  # Variances (3/4 * 1 + 1/4 * 9) / (3/8) = 8 and 2; errors 8 * 5/8 and 2 / 2.
  assert row['difference'] == -5
  assert row['t'] == pytest.approx(-5 / math.sqrt(6))
  # One degree of freedom each.
  assert row['degrees'] == pytest.approx(36 / (25 + 1))


def test_an_answer_of_both_methods_counts_once() -> None:
  """Shares 1/2, 1/2, 0 and 1/2, 0, 1/2: the common network drops out."""
  first, second = [('a', 0.0), ('b', 2.0)], [('a', 0.0), ('c', 6.0)]
  row = compare(first, second)
  # Variances 2 and 18, weights 1/2 and -1/2.
  assert row['t'] == pytest.approx(-2 / math.sqrt(2 / 4 + 18 / 4))


def test_trainings_of_one_network_are_one_answer() -> None:
  """Runs report different trainings; a network's figure is their mean."""
  first = [('a', 1.0), ('a', 3.0), ('b', 6.0), ('b', 8.0)]
  second = apart([3.0, 4.0, 8.0], 'c')
  row = compare(first, second)
  other = stats.ttest_ind([2.0, 7.0], [3.0, 4.0, 8.0], equal_var=False)
  assert row['p'] == pytest.approx(other.pvalue)


@pytest.mark.parametrize('copies', [1, 500])
def test_a_single_answer_is_one_sample(copies: int) -> None:
  """Its figure varies as the other's do: Student's test of 1 against 3."""
  row = compare([('a', 5.0)] * copies, apart([1.0, 2.0, 3.0], 'b'))
  assert row['t'] == pytest.approx(3 / math.sqrt(1 + 1 / 3))
  assert row['degrees'] == pytest.approx(2)
  assert row['effect'] == pytest.approx(3.0)


def test_against_a_given_network_it_is_the_one_sample_test() -> None:
  row = compare(apart([1.0, 2.0, 6.0], 'a') * 9, [('b', 5.0)] * 4, given=True)
  other = stats.ttest_1samp([1.0, 2.0, 6.0], 5.0)
  assert row['t'] == pytest.approx(other.statistic)
  assert row['degrees'] == pytest.approx(2)
  assert row['p'] == pytest.approx(other.pvalue)
  single = compare([('a', 6.0)] * 9, [('b', 5.0)] * 4, given=True)
  assert (single['p'], single['reason']) == (None, 'neither method varies')


@pytest.mark.parametrize(('first', 'second', 'difference', 'reason'), [
    ([('a', 2.0)] * 2, [('b', 1.0)], 1.0, 'neither method varies'),
    ([('a', 2.0), ('b', 2.0)], [('c', 1.0)], 1.0, 'neither method varies'),
    ([('a', 0.1), ('b', 0.1), ('c', 0.1)], [('d', 0.1)] * 7, 0.0,
     'neither method varies'),
    ([('a', 2.0), ('b', 1.0)], [('b', 1.0), ('a', 2.0)] * 3, 0.0,
     'both methods have the same answers'),
    ([], [('a', 1.0), ('b', 3.0)], None, 'a method has no answer'),
])
def test_where_there_is_no_test(first, second, difference, reason) -> None:
  assert compare(first, second) == {
      'difference': difference, 'effect': None, 't': None, 'degrees': None,
      'p': None, 'reason': reason,
  }


def geometric(count) -> np.ndarray:
  shares = 0.5 ** np.arange(count)
  return shares / shares.sum()


def even(count) -> np.ndarray:
  return np.full(count, 1 / count)


def dominated(count) -> np.ndarray:
  return np.array([0.9] + [0.1 / (count - 1)] * (count - 1))


def runs_of(name, rng, shares, figures) -> list[tuple[str, float]]:
  """200 runs of a method that ends in few networks.

  Args:
    name: of its networks; those of another name are others.
    rng: random source.
    shares: of its networks in the runs, on average.
    figures: of its networks' three trainings, which the seeds take in turn.
  """
  answers = rng.choice(len(shares), 200, p=shares)
  return list(zip(
      [f'{name}{answer}' for answer in answers],
      figures[answers, np.arange(200) % 3].tolist(), strict=True,
  ))


def random_figures(rng, count, spread) -> np.ndarray:
  """Of networks and their trainings, which differ half as much."""
  networks = rng.normal(size=(count, 1))
  return spread * (networks + 0.5 * rng.normal(size=(count, 3)))


@pytest.mark.parametrize(('shares', 'spreads'), [
    ((even(3), even(3)), (1, 1)),
    long((even(3), even(60)), (1, 0.1)),
    long((even(3), even(60)), (0.5, 1)),
    long((geometric(4), geometric(8)), (1, 1)),
    ((dominated(5), even(40)), (1, 1)),
    # A single answer, whose spread cannot be seen: as that of the other method.
    ((even(1), even(40)), (1, 1)),
])
def test_level_holds_where_runs_share_answers(shares, spreads) -> None:
  """Networks with random figures: no difference is found in 95 % of studies.

  Welch's test over the runs finds one in most.
  """
  rng = np.random.default_rng(1)
  _check_level([
      tuple(
          runs_of(name, rng, p, random_figures(rng, len(p), spread))
          for name, p, spread in zip('ab', shares, spreads, strict=True)
      ) for _ in range(500)
  ])


@pytest.mark.parametrize('shares', [
    (geometric(12), even(12)), (dominated(30), even(30)),
])
def test_level_holds_where_methods_share_answers(shares) -> None:
  """Both end in the same networks, in different shares of the runs."""
  rng = np.random.default_rng(1)
  studies = []
  for _ in range(500):
    figures = random_figures(rng, len(shares[0]), 1)
    studies.append(tuple(runs_of('', rng, p, figures) for p in shares))
  _check_level(studies)


def _check_level(studies) -> None:
  found, plain = 0, 0
  for first, second in studies:
    p = compare(first, second)['p']
    found += p is not None and p < 0.05
    runs = ([y for _, y in each] for each in (first, second))
    plain += stats.ttest_ind(*runs, equal_var=False).pvalue < 0.05
  assert found / len(studies) <= 0.07
  assert plain / len(studies) > 0.4


def test_a_difference_of_many_answers_is_found() -> None:
  """Power is not lost: 30 answers each, one deviation apart."""
  rng = np.random.default_rng(2)
  ps = []
  for _ in range(100):
    first, second = (
        apart(rng.normal(mean, 1, 30), name) * 4
        for mean, name in ((0, 'a'), (1, 'b'))
    )
    ps.append(compare(first, second)['p'])
  # Of Student's test with these sizes the power at 0.05 is 0.97.
  assert np.mean(np.array(ps) < 0.05) > 0.9


def test_a_constant_sample_does_not_narrow_the_pooled_spread() -> None:
  assert pooled_deviation([7.0] * 500, [1.0, 3.0]) == math.sqrt(2)


def test_an_answer_that_varies_between_methods_alone_has_no_effect() -> None:
  row = compare([('a', 1.0), ('b', 1.0)], [('a', 3.0), ('c', 3.0)])
  assert (row['difference'], row['effect']) == (-2.0, None)
  assert 0 < row['p'] <= 1


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
