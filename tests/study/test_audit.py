"""The audit of the assumption: its figures, its files, its program."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.study import audit as audit_config
from layernas.search import TargetInterval
from layernas.search.sweep import Sweep
from layernas.study.audit import audit
from layernas.study.audit import audit_to_dict
from layernas.study.run_audit import audit_markdown
from layernas.study.run_audit import run_audit
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.synthetic import with_interacting_reward
from layernas.study.tables.table import BenchmarkTable
from tests import tiny
from tests.search import problems
from tests.study.test_synthetic import additive_table

UNLIMITED = {'buckets': 10**6, 'spacing': 'equal_count'}

LAYERS = [
    {'length': 1, 'prefixes': 1234, 'buckets': 2, 'holds': None, 'kept': 1.0,
     'optimum_kept': False, 'top_dropped': 0.25, 'correlation': -0.5},
    {'length': 2, 'prefixes': 4, 'buckets': 3, 'holds': 2 / 3, 'kept': 0.5,
     'optimum_kept': True, 'top_dropped': 0.0, 'correlation': None},
]
RESULT = {
    'config': {'start': 'default', 'order': 'forward', 'spacing': 'linear',
               'top': 7},
    'audits': [
        {'benchmark': name, 'buckets': 10, 'layers': LAYERS, 'holds': 2 / 3,
         'kept': 0.75, 'optimum_dropped': 1.0, 'top_dropped': 0.25,
         'correlation': -0.5}
        for name in ('first', 'second')
    ],
}


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
  first, second = audit(made, Sweep(buckets=1), top=2)
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


def test_prefixes_that_cannot_reach_the_target_do_not_count():
  made = two_layers([[5.0, 6.0], [3.0, 9.0]], [[1, 2], [5, 6]], 2)
  first, second = audit(made, Sweep(**UNLIMITED))
  assert first.prefixes == 1
  assert first.correlation is None
  assert second.prefixes == 2
  assert second.optimum_kept


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4),
       st.integers(0, 10**6), st.floats(0, 1))
def test_everything_holds_where_rewards_and_costs_add_up(counts, seed, share):
  """A bucket for each cost: nothing is lost, whatever the limit."""
  table = additive_table(counts, seed)
  costs = table.column('flops')
  high = costs.min() + share * (costs.max() - costs.min())
  made = Benchmark(
      'b', table, ('additive',), 'additive', 'flops', TargetInterval(high=high)
  )
  for layer in audit(made, Sweep(**UNLIMITED), top=1):
    assert layer.holds in (None, 1.0)
    assert layer.kept == 1.0
    assert layer.optimum_kept
    assert layer.top_dropped == 0.0


@given(st.integers(0, 10**6), st.sampled_from(['forward', 'backward']),
       st.integers(1, 4), st.integers(0, 2))
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
  found = audit(made, Sweep(buckets, order=order))
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


def test_tables():
  text = audit_markdown(RESULT)
  assert '| first | 10 | 67 % | 75 % | 100 % | 25 % | -0.50 |' in text
  assert '## second, H = 10' in text
  assert '| 1 | 1,234 | 2 | - | 100 % | dropped | 25 % | -0.50 |' in text
  assert '| 2 | 4 | 3 | 67 % | 50 % | kept | 0 % | - |' in text
  assert 'the 7 best networks' in text


def config(**changes):
  made = audit_config.get_config('smoke').copy_and_resolve_references()
  made.unlock()
  for name in list(made.benchmarks):
    if name != 'nas_bench_macro':
      del made.benchmarks[name]
  made.update(changes)
  return made.lock()


def test_every_benchmark_for_every_h(tmp_path):
  result = run_audit(config(buckets=(3, 10)), tmp_path)
  assert [(a['benchmark'], a['buckets']) for a in result['audits']] == [
      ('nas_bench_macro', 3), ('nas_bench_macro', 10)
  ]
  assert json.loads((tmp_path / 'audit.json').read_text())['audits'] == (
      result['audits']
  )
  assert '| nas_bench_macro | 10 |' in (tmp_path / 'audit.md').read_text()
  assert (tmp_path / 'audit.png').stat().st_size > 10_000
  # Another config may follow in the same directory.
  run_audit(config(start='smallest'), tmp_path)


def test_wrong_fields_leave_no_workdir(tmp_path):
  with problems.refuses('top 0'):
    run_audit(config(top=0), tmp_path / 'new')
  with problems.refuses('search.start'):
    run_audit(config(start='middle'), tmp_path / 'new')
  assert not (tmp_path / 'new').exists()


@pytest.mark.long
def test_program(tmp_path):
  done = tiny.run_program(
      'audit', '--config=configs/study/audit.py:smoke', f'--workdir={tmp_path}'
  )
  assert done.returncode == 0, done.stderr
  assert 'audit.md' in done.stdout
  audited = json.loads((tmp_path / 'audit.json').read_text())['audits']
  assert len(audited) == 8
