"""Tests of layernas.search.table."""

import collections
import math

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.search.table import SPACINGS
from layernas.search.table import BucketAxis
from layernas.search.table import equal_count_axis
from layernas.search.table import linear_axis
from layernas.search.table import log_axis

_costs = st.lists(
    st.integers(1, 200) | st.floats(1e-6, 1e9), min_size=1, max_size=40
).map(np.array)


def test_a_value_on_an_edge_belongs_above_it():
  axis = BucketAxis((10.0, 20.0))
  assert axis.size == 3
  costs = [-5, 9, 9.999, 10, 10.0, 19, 20, 21, 10**30]
  assert list(map(axis.bucket, costs)) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_linear_buckets_are_equally_wide():
  axis = linear_axis(np.array([40, 0, 7]), 4)
  assert axis.edges == (10, 20, 30)
  assert axis.bucket(40) == 3


def test_logarithmic_buckets_have_equal_ratios():
  axis = log_axis(np.array([1, 10_000]), 4)
  np.testing.assert_allclose(axis.edges, [10, 100, 1000], rtol=1e-12)


def test_equal_counts():
  axis = equal_count_axis(np.array([1, 2, 3, 100, 1000, 10_000]), 3)
  assert axis.edges == (3, 1000)


def test_equal_counts_keep_ties_together():
  costs = np.array([1, 1, 1, 1, 1, 2, 3, 3])
  axis = equal_count_axis(costs, 4)
  assert axis.edges == (2,) or axis.edges == (3,) or axis.edges == (2, 3)
  counts = collections.Counter(map(axis.bucket, costs))
  assert counts[0] >= 5


@given(st.sets(st.integers(-500, 500), min_size=1, max_size=60),
       st.integers(1, 70))
def test_equal_counts_differ_by_at_most_one_without_ties(costs, buckets):
  axis = equal_count_axis(np.array(list(costs)), buckets)
  counts = collections.Counter(map(axis.bucket, costs))
  assert axis.size == len(counts) == min(buckets, len(costs))
  assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize('spacing', SPACINGS)
@pytest.mark.parametrize('costs', [[7], [7, 7, 7], [0.25]])
def test_a_single_cost_makes_a_single_bucket(spacing, costs):
  assert SPACINGS[spacing](np.array(costs), 100) == BucketAxis(())


@pytest.mark.parametrize('spacing', SPACINGS)
def test_one_bucket_has_no_edges(spacing):
  assert SPACINGS[spacing](np.array([1, 2, 3]), 1) == BucketAxis(())


@pytest.mark.parametrize('spacing', SPACINGS)
@given(costs=_costs, buckets=st.integers(1, 120))
def test_every_axis_is_ascending_and_not_too_long(spacing, costs, buckets):
  axis = SPACINGS[spacing](costs, buckets)
  assert axis.size <= buckets
  assert list(axis.edges) == sorted(axis.edges)
  assert all(type(edge) in (int, float) for edge in axis.edges)
  ordered = [axis.bucket(cost) for cost in sorted(costs.tolist())]
  assert ordered == sorted(ordered)
  assert ordered[0] >= 0
  assert ordered[-1] < axis.size


@given(st.sets(st.integers(-300, 300), min_size=1, max_size=40),
       st.integers(1, 50))
def test_linear_buckets_above_the_range_separate_integers(costs, more):
  span = max(costs) - min(costs)
  axis = linear_axis(np.array(list(costs)), span + more)
  assert len(set(map(axis.bucket, costs))) == len(costs)


@given(st.integers(-500, 500), st.integers(1, 200), st.integers(1, 60))
@hypothesis.example(0, 25, 25)  # 25 * (7 / 25) is rounded to above 7
def test_linear_edges_at_integers_are_exact(low, width, buckets):
  axis = linear_axis(np.array([low, low + width]), buckets)
  assert axis.size == buckets
  for offset in range(width + 1):
    expected = min(buckets - 1, offset * buckets // width)
    assert axis.bucket(low + offset) == expected


def test_linear_buckets_between_neighbouring_floats():
  low, high = 1.0, math.nextafter(1.0, 2.0)
  axis = linear_axis(np.array([low, high]), 5)
  assert axis.bucket(low) < axis.bucket(high) < 5


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 20))
def test_only_ties_make_equal_count_buckets_unequal(costs, buckets):
  axis = equal_count_axis(np.array(costs), buckets)
  counts = collections.Counter(map(axis.bucket, costs))
  assert set(counts) == set(range(axis.size))
  share = math.ceil(len(costs) / buckets)
  most_ties = max(collections.Counter(costs).values())
  assert max(counts.values()) < share + most_ties


@pytest.mark.parametrize('smallest', [0, -3, -0.5])
def test_a_logarithm_needs_costs_above_zero(smallest):
  with pytest.raises(UserError, match='allowed are costs above zero') as info:
    log_axis(np.array([smallest, 4]), 3)
  assert "search.spacing 'log'" in str(info.value)
  assert f'cost {smallest}:' in str(info.value)
