"""Which networks a reward model is first fitted to."""

import random

import numpy as np

from layernas.search.design import single_changes
from layernas.search.design import spread
from tests.search import problems

WIDE = problems.make_problem([[1, 2, 3, 4]] * 10, high=25)


def _drawn(count, seed=0, known=()):
  return spread(WIDE, random.Random(seed), count, known)


def test_networks_are_distinct_new_and_in_the_target():
  known = _drawn(5)
  found = _drawn(30, 1, known)
  assert len(set(found)) == 30
  assert not set(found) & set(known)
  assert all(WIDE.cost.cost(one) <= 25 for one in found)


def test_they_are_unlike_each_other():
  """Less alike than as many random ones, on average over seeds."""
  def alike(networks):
    rows = np.array(networks)
    same = (rows[:, None] == rows).mean(axis=2)
    return (same.sum() - len(rows)) / (len(rows) * (len(rows) - 1))

  chosen, plain = [], []
  for seed in range(10):
    chosen.append(alike(_drawn(8, seed)))
    rng = random.Random(seed)
    plain.append(alike([
        tuple(rng.choices(range(4), k=10)) for _ in range(8)
    ]))
  assert np.mean(chosen) < np.mean(plain) - 0.05


def test_what_is_known_counts():
  """Its repetition is the last thing to be chosen."""
  small = problems.make_problem([[1, 2]] * 3)
  known = [(0, 0, 0), (1, 1, 1)]
  found = spread(small, random.Random(0), 5, known)
  assert not set(found) & set(known)
  assert len(found) == 5


def test_a_small_space_gives_all_of_it():
  small = problems.make_problem([[1, 2]] * 3, high=4)
  assert sorted(spread(small, random.Random(0), 50, ())) == [
      (0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)
  ]


def test_single_changes_lie_in_the_target():
  problem = problems.make_problem([[1, 2, 9]] * 3, high=6)
  found = single_changes(problem, random.Random(0), 9, {(1, 0, 0)})
  assert sorted(found) == [(0, 0, 1), (0, 1, 0)]
  assert len(single_changes(problem, random.Random(0), 1, ())) == 1
