"""Tests of layernas.study.audit."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.search import TargetInterval
from layernas.search.layer_pass import TableSettings
from layernas.search.sweep import PassSettings
from layernas.study.audit import audit
from layernas.study.audit import audit_to_dict
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.synthetic import with_interacting_reward
from layernas.study.tables.table import BenchmarkTable
from tests.benchmarks.test_synthetic import additive_table
from tests.search import problems

UNLIMITED = TableSettings(10**6, spacing='equal_count')


def two_layers(reward, cost, high):
  table = BenchmarkTable('two', problems.make_space(2, 2), {
      'reward': np.array(reward), 'cost': np.array(cost)
  })
  return Benchmark(
      'two', table, ('reward',), 'reward', 'cost', TargetInterval(high=high)
  )


def test_a_table_by_hand():
  """Start (0, 0); option 1 of the first layer looks worse, but leads higher.

  Rewards of length 1: (0, .) 5.0, (1, .) 3.0, costs 1 and 2; of length 2: 5, 6,
  3, 9 with costs 1, 2, 2, 3. With one bucket, (0, .) is kept and the optimum's
  prefix (1, .) is dropped.
  """
  made = two_layers([[5.0, 6.0], [3.0, 9.0]], [[1, 2], [2, 3]], 3)
  one = PassSettings(TableSettings(buckets=1))
  first, second = audit(made, one, top=2)
  assert (first.length, first.prefixes, first.buckets) == (1, 2, 1)
  assert first.holds is None
  assert first.kept == 1.0
  assert not first.optimum_kept
  # The two best are (1, 1) and (0, 1): one of their prefixes is dropped.
  assert first.top_dropped == 0.5
  # Rewards 5, 3 against best completions 6, 9.
  assert first.correlation == pytest.approx(-1.0)
  assert (second.prefixes, second.buckets) == (4, 1)
  assert second.holds == 0.0
  assert second.kept == 0.0
  assert second.optimum_kept
  summary = audit_to_dict([first, second])
  assert summary['holds'] == 0.0
  assert summary['kept'] == 0.5
  assert summary['optimum_dropped'] == 1.0
  assert summary['top_dropped'] == 0.5
  assert summary['correlation'] == pytest.approx(-1.0)
  assert summary['layers'][0]['prefixes'] == 2


def test_two_buckets_keep_both():
  made = two_layers([[5.0, 6.0], [3.0, 9.0]], [[1, 2], [2, 3]], 3)
  first, second = audit(made, PassSettings(TableSettings(buckets=2)))
  assert (first.buckets, first.kept, first.optimum_kept) == (2, 1.0, True)
  assert (second.holds, second.kept) == (1.0, 1.0)


def test_prefixes_that_cannot_reach_the_target_do_not_count():
  made = two_layers([[5.0, 6.0], [3.0, 9.0]], [[1, 2], [5, 6]], 2)
  first, second = audit(made, PassSettings(UNLIMITED))
  assert first.prefixes == 1
  assert first.correlation is None
  assert second.prefixes == 2
  assert second.optimum_kept


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4),
       st.integers(0, 10**6), st.floats(0, 1))
@settings(max_examples=60)
def test_everything_holds_where_rewards_and_costs_add_up(counts, seed, share):
  """A bucket for each cost: nothing is lost, whatever the limit."""
  table = additive_table(counts, seed)
  costs = table.column('flops')
  high = costs.min() + share * (costs.max() - costs.min())
  made = Benchmark(
      'b', table, ('additive',), 'additive', 'flops', TargetInterval(high=high)
  )
  for layer in audit(made, PassSettings(UNLIMITED), top=1):
    assert layer.holds in (None, 1.0)
    assert layer.kept == 1.0
    assert layer.optimum_kept
    assert layer.top_dropped == 0.0


@given(st.integers(0, 10**6), st.sampled_from(['forward', 'backward']),
       st.integers(1, 4), st.integers(0, 2))
@settings(max_examples=40)
def test_shares_agree_with_counting_one_by_one(seed, order, buckets, default):
  """`holds` and `kept` against loops over all prefixes."""
  counts = (3, 3, 2)
  table = with_interacting_reward(additive_table(counts, seed), seed, 2.0)
  costs, reward = table.column('flops'), table.column('interacting')
  space = problems.make_space(*counts, default=default)
  made = Benchmark(
      'b', BenchmarkTable('b', space, table.columns), ('interacting',),
      'interacting', 'flops', TargetInterval(high=float(np.median(costs))),
  )
  found = audit(made, PassSettings(TableSettings(buckets), order=order))
  layers = list(range(3)) if order == 'forward' else [2, 1, 0]
  best_before = None
  for length, audited in enumerate(found, 1):
    decided = layers[:length]
    prefixes = {}
    for choice in itertools.product(*(range(counts[i]) for i in decided)):
      architecture = list(space.default)
      for layer, option in zip(decided, choice, strict=True):
        architecture[layer] = option
      index = tuple(
          architecture[i] if i in decided else slice(None) for i in range(3)
      )
      if costs[index].min() <= made.target.high:
        prefixes[tuple(architecture)] = None
    assert audited.prefixes == len(prefixes)
    axis_costs = sorted(costs[p] for p in prefixes)
    low, high = axis_costs[0], axis_costs[-1]
    edges = [low + (high - low) * s / buckets for s in range(1, buckets)]
    grouped = {}
    for prefix in prefixes:
      bucket = sum(costs[prefix] >= e for e in edges) if low < high else 0
      grouped.setdefault(bucket, []).append(prefix)
    best = {
        p for group in grouped.values() for p in group
        if reward[p] == max(reward[q] for q in group)
    }
    if best_before is not None:
      undone = layers[length - 1]
      extends = [
          any(p in best and _with(p, undone, space.default[undone])
              in best_before for p in group)
          for group in grouped.values()
      ]
      assert audited.holds == pytest.approx(sum(extends) / len(extends))
    best_before = best


def _with(architecture, layer, option):
  return architecture[:layer] + (option,) + architecture[layer + 1:]
