"""Tests of layernas.search.interleaved."""

import collections
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search.interleaved import SELECTIONS
from layernas.search.interleaved import SelectableEntries
from layernas.search.table import Entry


def entry(number, reward=0.0):
  return Entry((number,), number, reward, number)


def entries_of(numbers):
  selectable = SelectableEntries()
  for number in numbers:
    selectable.add(entry(number, float(number % 4)))
  return selectable


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=40),
       st.sampled_from(SELECTIONS))
def test_holds_what_was_added_and_not_discarded(steps, how):
  selectable, expected = SelectableEntries(), set()
  for adds, number in steps:
    if adds and number not in expected:
      selectable.add(entry(number))
      expected.add(number)
    elif not adds:
      selectable.discard((number,))
      expected.discard(number)
    assert len(selectable) == len(expected)
  selected = selectable.select(99, how, random.Random(0))
  assert sorted(e.cost for e in selected) == sorted(expected)


def test_uniform_is_uniform_and_without_repetition():
  selectable, rng = entries_of(range(5)), random.Random(1)
  counts = collections.Counter()
  for _ in range(5000):
    pair = selectable.select(2, 'uniform', rng)
    assert len(set(pair)) == 2
    counts.update(e.cost for e in pair)
  assert all(abs(count - 2000) < 180 for count in counts.values())


@pytest.mark.parametrize(('count', 'expected'), [
    (1, [3]), (3, [3, 7, 2]), (9, [3, 7, 2, 6, 1, 5, 0, 4]),
])
def test_best_takes_rewards_and_of_equals_the_older(count, expected):
  selected = entries_of(range(8)).select(count, 'best', random.Random(0))
  assert [e.cost for e in selected] == expected


def test_root_without_reward_is_selected():
  selectable = SelectableEntries()
  selectable.add(Entry((0, 0), 5))
  for how in SELECTIONS:
    assert len(selectable.select(1, how, random.Random(0))) == 1
