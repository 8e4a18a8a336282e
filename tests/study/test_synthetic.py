"""Synthetic rewards, and the chain."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import Search
from layernas.search import TargetInterval
from layernas.search import make_schedule
from layernas.search.layer_pass import ORDERS
from layernas.search.layer_pass import STARTS
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.benchmark import TableEvaluator
from layernas.study.tables.synthetic import COST
from layernas.study.tables.synthetic import REWARD
from layernas.study.tables.synthetic import Chain
from layernas.study.tables.synthetic import with_additive_reward
from layernas.study.tables.synthetic import with_interacting_reward
from layernas.study.tables.table import BenchmarkTable
from layernas.study.tables.table import Survey
from tests.search import problems

ALL = list(itertools.product(range(3), repeat=5))


def additive_table(counts, seed, prices=20):
  """A table with additive integer costs and an additive reward."""
  rng = np.random.default_rng(seed)
  space = problems.make_space(*counts)
  costs = np.zeros(counts, np.int64)
  for layer, count in enumerate(counts):
    shape = [1] * len(counts)
    shape[layer] = count
    costs = costs + rng.integers(1, prices + 1, size=shape)
  table = BenchmarkTable('additive', space, {'flops': costs})
  return with_additive_reward(table, seed)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 10**6),
    st.floats(0, 1), st.sampled_from(list(STARTS)), st.sampled_from(ORDERS),
)
def test_unlimited_buckets_find_the_optimum_where_the_assumption_holds(
    counts, seed, share, start, order
):
  """LayerNAS equals brute force on additive tables, under any limit."""
  table = additive_table(counts, seed)
  costs = table.column('flops')
  high = costs.min() + share * (costs.max() - costs.min())
  benchmark = Benchmark(
      'b', table, ('additive',), 'additive', 'flops', TargetInterval(high=high)
  )
  # Every distinct cost is a bucket of its own.
  schedule = make_schedule(
      'sweep', buckets=10**6, spacing='equal_count', start=start, order=order
  )
  search = Search(benchmark.problem, schedule, seed=seed)
  problems.run(search, TableEvaluator(benchmark, seed))
  assert search.best.candidate.cost <= high
  assert search.best.evaluation.reward == benchmark.optimum


def test_additive_reward_has_no_interaction():
  table = with_additive_reward(additive_table((2, 3, 2), 1), 7, 'r')
  reward = table.column('r')
  for a, b in itertools.product(np.ndindex(2, 3, 2), repeat=2):
    swapped = reward[a[0], b[1], a[2]] + reward[b[0], a[1], b[2]]
    assert reward[a] + reward[b] == pytest.approx(swapped)


@pytest.mark.parametrize('strength', [0.0, 0.5, 2.0])
def test_strength_scales_the_interactions(strength):
  base = additive_table((3,) * 6, 3)
  plain = with_interacting_reward(base, 9, 0.0).column('interacting')
  mixed = with_interacting_reward(base, 9, strength).column('interacting')
  layers = np.sqrt(6)
  assert np.std(mixed - plain) == pytest.approx(strength * layers, rel=0.35)


def by_hand(chain, architecture):
  single = sum(chain.single[i, o] for i, o in enumerate(architecture))
  pairs = zip(chain.pairs, itertools.pairwise(architecture), strict=True)
  return single + sum(table[pair] for table, pair in pairs)


@pytest.mark.parametrize(('low', 'high'), [
    (-math.inf, 15), (-math.inf, 16), (20, 27), (29.5, 45), (30, math.inf),
    (-math.inf, math.inf),
])
def test_the_optimum_is_that_of_an_enumeration(low, high):
  chain = Chain(5, 3, seed=1, strength=0.7)
  target = TargetInterval(low, high)
  costs = chain.cost(COST)
  inside = [a for a in ALL if costs.cost(a) in target]
  best = max(by_hand(chain, a) for a in inside)
  assert chain.optimum(target) == pytest.approx(best)
  assert chain.count(target) == len(inside)


def test_an_option_above_the_limit_of_a_chain():
  chain = Chain(3, 9, seed=1, strength=0.7)
  inside = TargetInterval(high=8)
  best = max(
      by_hand(chain, a) for a in itertools.product(range(9), repeat=3)
      if chain.cost(COST).cost(a) <= 8
  )
  assert chain.optimum(inside) == pytest.approx(best)


def test_strength_is_that_of_all_interactions_together():
  chain = Chain(400, 5, seed=0, strength=0.5)
  together = np.sqrt((chain.pairs**2).mean(axis=(1, 2)).sum())
  assert together == pytest.approx(0.5 * math.sqrt(400), rel=0.05)


def test_a_search_of_1e15_networks():
  benchmark = Benchmark(
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


def test_only_the_largest_reward_is_known():
  chain = Chain(5, 3, seed=0, strength=0.0)
  target = TargetInterval(20, 30)
  known = chain.survey(COST, target, (REWARD,), 1)
  assert known == Survey(chain.count(target), chain.optimum(target))
  for names, sign in (((REWARD,), -1), ((COST,), 1)):
    assert chain.survey(COST, target, names, sign).optimum is None
