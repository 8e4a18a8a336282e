"""Tests of layernas.study.methods.random_search."""

import collections

from layernas.search import Budget
from layernas.search import Search
from layernas.study.methods.random_search import RandomSearch
from tests.search import problems


def test_uniform_over_the_target_interval():
  problem = problems.make_problem([[0, 1, 2]] * 2, low=1, high=2)
  search = Search(problem, RandomSearch(), Budget(trials=5000), reuse=False)
  problems.run(search, problems.RandomResults())
  counts = collections.Counter(t.candidate.architecture for t in search.trials)
  assert set(counts) == {(0, 1), (1, 0), (0, 2), (2, 0), (1, 1)}
  assert all(abs(count - 1000) < 130 for count in counts.values())


def test_many_workers_are_served_at_once():
  problem = problems.make_problem([[0, 1, 2]] * 4)
  search = Search(problem, RandomSearch(), reuse=False)
  assert len(search.ask(16)) == 16
