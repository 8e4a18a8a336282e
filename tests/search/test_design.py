"""Which networks a reward model is first fitted to."""

import random

import numpy as np

from layernas.search.design import Spread
from layernas.search.design import single_changes
from tests.search import problems

WIDE = problems.make_problem([[1, 2, 3, 4]] * 10, high=25)


def _drawn(draws, count=12, seed=0, known=()):
  return Spread(draws)(WIDE, random.Random(seed), count, known)


def test_networks_are_distinct_new_and_in_the_target():
  known = _drawn(1, 5)
  found = _drawn(1, 30, 1, known)
  assert len(set(found)) == 30
  assert not set(found) & set(known)
  assert all(WIDE.cost.cost(one) <= 25 for one in found)


def test_they_are_unlike_each_other():
  """Less alike than as many random ones, on average over seeds."""
  def alike(networks):
    rows = np.array(networks)
    same = (rows[:, None] == rows).mean(axis=2)
    return (same.sum() - len(rows)) / (len(rows) * (len(rows) - 1))

  spread, plain = [], []
  for seed in range(10):
    spread.append(alike(_drawn(1, 8, seed)))
    rng = random.Random(seed)
    plain.append(alike([
        tuple(rng.choices(range(4), k=10)) for _ in range(8)
    ]))
  assert np.mean(spread) < np.mean(plain) - 0.05


def test_what_is_known_counts():
  """Its repetition is the last thing to be chosen."""
  small = problems.make_problem([[1, 2]] * 3)
  known = [(0, 0, 0), (1, 1, 1)]
  found = Spread(1)(small, random.Random(0), 5, known)
  assert not set(found) & set(known)
  assert len(found) == 5


def test_more_draws_are_dearer():
  prices = {
      draws: np.mean([WIDE.cost.cost(one) for one in _drawn(draws, 20)])
      for draws in (1, 4)
  }
  assert prices[4] > prices[1] + 0.5


def test_a_small_space_gives_all_of_it():
  small = problems.make_problem([[1, 2]] * 3, high=4)
  assert sorted(Spread()(small, random.Random(0), 50, ())) == [
      (0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)
  ]


def test_single_changes_lie_in_the_target():
  problem = problems.make_problem([[1, 2, 9]] * 3, high=6)
  found = single_changes(problem, random.Random(0), 9, {(1, 0, 0)})
  assert sorted(found) == [(0, 0, 1), (0, 1, 0)]
  assert len(single_changes(problem, random.Random(0), 1, ())) == 1
