"""Tests of layernas.search.table."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from layernas.search.table import BucketAxis
from layernas.search.table import Entry
from layernas.search.table import LayerTable
from layernas.search.table import best_in_buckets


def _entry(trial, reward, cost=0):
  return Entry((trial,), cost, reward, trial)


def test_a_better_one_replaces_and_is_told_whom():
  table = LayerTable(BucketAxis(()), keep=1)
  old, new = _entry(0, 0.1), _entry(1, 0.2)
  assert table.place(old) is None
  assert table.place(new) is old
  assert table.entries() == [new]


def test_a_tie_keeps_the_older():
  table = LayerTable(BucketAxis(()), keep=1)
  old, new = _entry(0, 0.1), _entry(1, 0.1)
  table.place(old)
  assert table.place(new) is new
  assert table.entries() == [old]


def test_a_worse_one_finds_no_room():
  table = LayerTable(BucketAxis(()), keep=1)
  table.place(_entry(0, 0.1))
  worse = _entry(1, 0.05)
  assert table.place(worse) is worse


def test_ties_among_several_drop_the_youngest():
  table = LayerTable(BucketAxis(()), keep=2)
  a, b, c = _entry(0, 1.0), _entry(1, 1.0), _entry(2, 2.0)
  table.place(a)
  table.place(b)
  assert table.place(c) is b
  assert table.entries() == [c, a]


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
