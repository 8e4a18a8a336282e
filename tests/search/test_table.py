"""Layer tables and the axes of their buckets."""

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
from layernas.search.table import Entry
from layernas.search.table import LayerTable
from layernas.search.table import best_in_buckets
from layernas.search.table import equal_count_axis
from layernas.search.table import linear_axis
from layernas.search.table import log_axis

_costs = st.lists(
    st.integers(1, 200) | st.floats(1e-6, 1e9), min_size=1, max_size=40
).map(np.array)


def _entry(trial, reward, cost=0):
  return Entry((trial,), cost, reward, trial)


def test_who_finds_no_room():
  """Worse ones and ties lose; a better one displaces the youngest of ties."""
  table = LayerTable(BucketAxis(()), keep=2)
  old, young = _entry(0, 0.2), _entry(1, 0.2)
  assert table.place(old) is table.place(young) is None
  for loser in (_entry(2, 0.1), _entry(3, 0.2)):
    assert table.place(loser) is loser
  better = _entry(4, 0.3)
  assert table.place(better) is young
  assert table.entries() == [better, old]


def test_buckets_do_not_compete_and_come_by_cost():
  table = LayerTable(BucketAxis((10.0,)), keep=1)
  dear, cheap = _entry(0, 0.9, 10), _entry(1, 0.1, 9)
  assert table.place(dear) is None
  assert table.place(cheap) is None
  assert table.entries() == [cheap, dear]
  assert list(table.by_bucket()) == [(0, [cheap]), (1, [dear])]
  assert len(table) == 2


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=40),
    st.integers(1, 4),
)
def test_a_table_holds_the_best_with_the_older_first(placed, keep):
  axis = BucketAxis((3.0, 6.0))
  table = LayerTable(axis, keep)
  entries = [
      _entry(trial, float(reward), cost)
      for trial, (reward, cost) in enumerate(placed)
  ]
  dropped = [each for each in map(table.place, entries) if each]
  for bucket in range(3):
    here = [e for e in entries if axis.bucket(e.cost) == bucket]
    best = sorted(here, key=lambda e: (-e.reward, e.trial))[:keep]
    assert dict(table.by_bucket()).get(bucket, []) == best
  assert len(table) == len(table.entries())
  assert len(table) + len(dropped) == len(entries)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), min_size=1),
    st.lists(st.integers(0, 30), max_size=6, unique=True), st.integers(1, 4),
)
def test_arrays_keep_what_a_table_keeps(entries, edges, keep):
  axis = BucketAxis(tuple(sorted(edges)))
  table = LayerTable(axis, keep)
  for number, (cost, reward) in enumerate(entries):
    table.place(Entry((number,), cost, reward, number))
  costs, rewards = np.array(entries).T
  found = best_in_buckets(axis, keep, costs, rewards.astype(float))
  assert found.tolist() == [entry.trial for entry in table.entries()]


def test_a_value_on_an_edge_belongs_above_it():
  axis = BucketAxis((10.0, 20.0))
  assert axis.size == 3
  costs = [-5, 9, 9.999, 10, 10.0, 19, 20, 21, 10**30]
  assert list(map(axis.bucket, costs)) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_logarithmic_buckets_have_equal_ratios():
  axis = log_axis(np.array([1, 10_000]), 4)
  np.testing.assert_allclose(axis.edges, [10, 100, 1000], rtol=1e-12)


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
