"""The default network as a method, and the start near it."""

import random

import pytest

from layernas.search import Budget
from layernas.search import Layer
from layernas.search import Problem
from layernas.search import Search
from layernas.search import SearchSpace
from layernas.search import TargetInterval
from layernas.search import additive_cost
from layernas.study.methods.baseline import default_in_target
from layernas.study.methods.registry import make_method
from tests.search import problems


def problem_of(values, default, **target):
  """Costs add up over layers whose defaults differ."""
  space = SearchSpace(
      Layer(f'layer{index}', tuple(row), option)
      for index, (row, option) in enumerate(zip(values, default, strict=True))
  )
  return Problem(
      additive_cost('madds', space, values), TargetInterval(**target)
  )


def start(values, default, **target):
  problem = problem_of(values, default, **target)
  return default_in_target(problem, random.Random(0))


@pytest.mark.parametrize(('default', 'target', 'found'), [
    # In the target it stays as it is.
    ((3, 1, 0), {'high': 4}, (3, 1, 0)),
    # One change is enough: the one that gives up least.
    ((3, 3, 3), {'high': 8}, (2, 3, 3)),
    ((3, 3, 1), {'high': 5}, (1, 3, 1)),
    ((0, 0, 0), {'low': 2}, (2, 0, 0)),
    # Two are needed.
    ((3, 3, 3), {'high': 4}, (0, 1, 3)),
    ((0, 1, 0), {'low': 6, 'high': 6}, (3, 3, 0)),
])
def test_network_near_the_default(default, target, found):
  assert start([[0, 1, 2, 3]] * 3, default, **target) == found


def test_where_no_change_comes_nearer_a_random_network_is_taken():
  """Cost 6 is reached by two changes at once, from 5 over 9 or 2."""
  values, default = [[0, 4], [5, 2]], (0, 0)
  assert start(values, default, low=6, high=6) == (1, 1)


def test_default_is_evaluated_once_and_answers():
  problem = problem_of([[0, 1, 2]] * 3, (2, 1, 2), high=4)
  search = Search(problem, make_method('default'), Budget(trials=30))
  problems.run(search, problems.RandomResults())
  assert [t.candidate.architecture for t in search.trials] == [(1, 1, 2)]
  assert search.best.candidate.architecture == (1, 1, 2)
  assert search.stop_reason == 'the default network is evaluated'
