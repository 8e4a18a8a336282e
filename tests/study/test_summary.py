"""The summary of a study against statistics found by hand."""

import json
import math

import pytest

from layernas.study.curves import unpack
from layernas.study.summary import summarise
from layernas.study.summary import to_json
from tests.study import tiny_study


def _methods() -> dict:
  return tiny_study.summary()['sections'][0]['methods']


def test_statistics_of_a_method_with_a_run_without_answer() -> None:
  random = _methods()['random']
  del random['curve']
  assert random == {
      'runs': 4, 'distinct_runs': 4, 'unanswered': 1,
      # Figures 50, 60 and 80; regrets 30, 20 and 0.
      'mean': 63.3333, 'sd': float(f'{math.sqrt(1400 / 9):.6g}'),
      'median': 60.0, 'quartiles': [55.0, 70.0], 'regret': 16.6667,
      'found': 0.25, 'signal': 2.0,
      'trials': 2.5, 'networks': 1.5, 'reused': 0.0,
      'rejected': 1.0, 'failed': 0.0, 'seconds': 72.5,
      'stopped': {'all layers decided': 1, 'budget spent': 3},
  }


def test_equal_runs_are_one_distinct_run() -> None:
  layernas = _methods()['layernas']
  assert (layernas['runs'], layernas['distinct_runs']) == (2, 1)
  assert (layernas['mean'], layernas['sd']) == (80.0, 0.0)


def test_runs_that_differ_in_the_curve_alone_are_distinct() -> None:
  records = tiny_study.records()
  records[1]['curve'][0][1] = 11.0
  summary = summarise(
      tiny_study.config(), {'toy': tiny_study.BENCHMARK}, records
  )
  assert summary['sections'][0]['methods']['layernas']['distinct_runs'] == 2


def test_the_optimum_is_that_of_the_target_interval() -> None:
  benchmark = tiny_study.summary()['benchmarks']['toy']
  assert (benchmark['optimum'], benchmark['feasible']) == (80.0, 3)
  assert benchmark['target'] == [None, 5]
  assert benchmark['budget'] == {'trials': None, 'seconds': 100.0}


def test_the_compared_method_is_tested_against_the_others() -> None:
  tests = tiny_study.summary()['sections'][0]['tests']
  assert list(tests) == ['random']
  assert tests['random']['difference'] == 16.6667
  # Unbiased variance 700 / 3 of three answers.
  assert tests['random']['t'] == float(f'{50 / 3 / math.sqrt(700 / 9):.6g}')
  assert tests['random']['p_holm'] == tests['random']['p']


def test_holm_counts_only_the_tests_that_were_made() -> None:
  config = tiny_study.config()
  config.methods.other = config.methods.random
  same = [
      tiny_study.record('other', seed, '0-0', (1, 10.0, 1.0, 50.0))
      for seed in range(3)
  ]
  summary = summarise(
      config, {'toy': tiny_study.BENCHMARK}, tiny_study.records() + same
  )
  tests = summary['sections'][0]['tests']
  assert tests['other']['p_holm'] is None
  assert tests['other']['reason'] == 'neither method varies'
  assert tests['random']['p_holm'] == tests['random']['p']


def test_without_a_compared_method_there_are_no_tests() -> None:
  assert tiny_study.summary('')['sections'][0]['tests'] == {}


def test_curves_lie_on_the_grid_of_the_benchmark() -> None:
  summary = tiny_study.summary()
  benchmark = summary['benchmarks']['toy']
  assert benchmark['grid'] == [0, 25, 50, 75, 100]
  packed = summary['sections'][0]['methods']['layernas']['curve']
  curve = unpack(packed, benchmark['decimals'])
  assert curve['start'] == 1
  assert curve['mean'].tolist() == [50, 80, 80, 80]


def test_sections_follow_the_accountings_of_the_config() -> None:
  config = tiny_study.config()
  config.accountings = ('each_network_once', 'every_query')
  records = tiny_study.records()
  once = [r | {'accounting': 'each_network_once'} for r in records]
  summary = summarise(config, {'toy': tiny_study.BENCHMARK}, records + once)
  assert [s['accounting'] for s in summary['sections']] == [
      'each_network_once', 'every_query'
  ]
  assert all(len(s['methods']) == 2 for s in summary['sections'])


def test_methods_come_compared_first_then_layernas_then_by_number() -> None:
  config = tiny_study.config('random')
  for name in ('h_100', 'h_20'):
    config.methods[name] = config.methods.layernas
  summary = summarise(
      config, {'toy': tiny_study.BENCHMARK}, tiny_study.records()
  )
  assert list(summary['methods']) == ['random', 'h_20', 'h_100', 'layernas']


def test_json_is_compact_and_the_same_value() -> None:
  summary = tiny_study.summary()
  text = to_json(summary)
  assert json.loads(text) == summary
  assert '"quartiles": [55.0,70.0]' in text


def test_nan_is_no_json() -> None:
  with pytest.raises(ValueError, match='not JSON compliant'):
    to_json({'mean': float('nan')})
