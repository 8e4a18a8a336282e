"""Tests of layernas.study.tables.synthetic."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.search import Search
from layernas.search import TargetInterval
from layernas.search import make_schedule
from layernas.search.layer_pass import ORDERS
from layernas.search.layer_pass import STARTS
from layernas.search.layer_pass import TableSettings
from layernas.search.sweep import PassSettings
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.benchmark import TableEvaluator
from layernas.study.tables.synthetic import with_additive_reward
from layernas.study.tables.synthetic import with_interacting_reward
from layernas.study.tables.table import BenchmarkTable
from tests.search import problems


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
@settings(max_examples=200)
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
  unlimited = TableSettings(buckets=10**6, spacing='equal_count')
  schedule = make_schedule('sweep', PassSettings(unlimited, start, order))
  search = Search(benchmark.problem, schedule, seed=seed)
  problems.run(search, TableEvaluator(benchmark, seed))
  assert search.best.candidate.cost <= high
  assert search.best.evaluation.reward == benchmark.optimum


def test_interactions_break_the_assumption():
  """The same search misses the optimum of some interacting tables."""
  missed = 0
  for seed in range(20):
    table = with_interacting_reward(additive_table((3,) * 5, seed), seed)
    costs = table.column('flops')
    benchmark = Benchmark(
        'b', table, ('interacting',), 'interacting', 'flops',
        TargetInterval(high=int(np.median(costs))),
    )
    search = problems.sweep_of(benchmark.problem, buckets=3)
    problems.run(search, TableEvaluator(benchmark, seed))
    missed += search.best.evaluation.reward < benchmark.optimum
  assert missed >= 5


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


def test_rewards_depend_on_the_seed_alone():
  first, second = (with_interacting_reward(additive_table((3, 3), 1), 5)
                   for _ in range(2))
  np.testing.assert_array_equal(
      first.column('interacting'), second.column('interacting')
  )
  other = with_interacting_reward(additive_table((3, 3), 1), 6)
  assert (other.column('interacting') != first.column('interacting')).any()
