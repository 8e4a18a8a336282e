"""Tests of layernas.study.tables.synthetic."""

import itertools
import math

import numpy as np
import pytest

from layernas.search import Budget
from layernas.search import Search
from layernas.search import TargetInterval
from layernas.search import make_schedule
from layernas.study.tables.benchmark import TableEvaluator
from layernas.study.tables.synthetic import COST
from layernas.study.tables.synthetic import REWARD
from layernas.study.tables.synthetic import Chain
from layernas.study.tables.synthetic import ChainBenchmark
from tests.search import problems

ALL = list(itertools.product(range(3), repeat=5))


def by_hand(chain, architecture):
  single = sum(chain.single[i, o] for i, o in enumerate(architecture))
  pairs = zip(chain.pairs, itertools.pairwise(architecture), strict=True)
  return single + sum(table[pair] for table, pair in pairs)


@pytest.mark.parametrize('high', [15, 16, 27, 45, math.inf])
def test_the_optimum_is_that_of_an_enumeration(high):
  chain = Chain(5, 3, seed=1, strength=0.7)
  costs = chain.cost(COST)
  inside = [a for a in ALL if costs.cost(a) <= high]
  best = max(by_hand(chain, a) for a in inside)
  assert chain.optimum(high) == pytest.approx(best)
  assert chain.count(high) == len(inside)


def test_figures_of_an_architecture():
  chain = Chain(5, 3, seed=1, strength=0.7)
  one = (0, 2, 1, 0, 2)
  assert chain.column(REWARD).item(one) == pytest.approx(by_hand(chain, one))
  assert chain.column(COST).item(one) == 1 + 2 * 3 + 3 * 2 + 4 + 5 * 3


def test_strength_is_that_of_all_interactions_together():
  chain = Chain(400, 5, seed=0, strength=0.5)
  together = np.sqrt((chain.pairs**2).mean(axis=(1, 2)).sum())
  assert together == pytest.approx(0.5 * math.sqrt(400), rel=0.05)


def test_without_reachable_networks():
  assert Chain(5, 3, seed=0, strength=0.0).optimum(14) == -math.inf
  assert Chain(5, 3, seed=0, strength=0.0).count(14) == 0


def test_a_search_of_1e15_networks():
  benchmark = ChainBenchmark(
      'chain', Chain(20, 6, seed=0, strength=0.5), (REWARD,), REWARD, COST,
      TargetInterval(high=180), budget=Budget(trials=60), noise=1.0,
  )
  total, inside = benchmark.networks
  assert total == 6**20
  assert 0 < inside < total
  evaluate = TableEvaluator(benchmark, 0)
  search = Search(
      benchmark.problem, make_schedule('model_guided'), benchmark.budget
  )
  problems.run(search, evaluate)
  answer = search.best.candidate
  assert answer.cost <= 180
  figure = benchmark.reported(answer.architecture, 0)
  assert figure == benchmark.reference.item(answer.architecture)
  assert figure < benchmark.optimum
  # The error of the reward is not in the figure.
  assert figure != search.best.evaluation.reward


@pytest.mark.parametrize('sizes', [(1, 3), (3, 1)])
def test_sizes_are_checked(sizes):
  with problems.refuses('chain_', '1'):
    Chain(*sizes, seed=0, strength=0.0)


def test_columns_are_checked():
  with problems.refuses("'madds'", REWARD):
    Chain(5, 3, seed=0, strength=0.0).cost('madds')


def test_a_lower_limit_is_refused():
  with problems.refuses('target.low'):
    ChainBenchmark(
        'chain', Chain(5, 3, seed=0, strength=0.0), (REWARD,), REWARD, COST,
        TargetInterval(low=3),
    )
