"""The summary of a study against statistics found by hand."""

import dataclasses
import json
import math
from typing import Any

import pytest

from layernas.search import Budget
from layernas.search import TargetInterval
from layernas.study import report
from layernas.study.curves import unpack
from layernas.study.protocol import COST_RULE
from layernas.study.protocol import describe_benchmark
from layernas.study.protocol import facts
from layernas.study.protocol import warning
from layernas.study.summary import summarise
from layernas.study.summary import to_json
from layernas.study.tables.benchmark import Benchmark
from tests.study import tiny_study


def _methods() -> dict:
  return tiny_study.summary()['sections'][0]['methods']


def test_statistics_of_a_method_with_a_run_without_answer() -> None:
  random = _methods()['random']
  del random['curve']
  assert random == {
      'runs': 4, 'distinct_runs': 4, 'unanswered': 1, 'answers': 3,
      # Figures 50, 60 and 80; regrets 30, 20 and 0.
      'mean': 63.3333, 'sd': float(f'{math.sqrt(1400 / 9):.6g}'),
      'median': 60.0, 'quartiles': [55.0, 70.0], 'regret': 16.6667,
      'found': 0.25, 'signal': 2.0,
      'trials': 2.5, 'networks': 1.5, 'reused': 0.0,
      'rejected': 1.0, 'failed': 0.0, 'seconds': 72.5,
      'stopped': {'all layers decided': 1, 'budget spent': 3},
  }


def test_the_optimum_is_that_of_the_target_interval() -> None:
  benchmark = tiny_study.summary()['benchmarks']['toy']
  assert (benchmark['optimum'], benchmark['feasible']) == (80.0, 3)
  assert benchmark['target'] == [None, 5]
  assert benchmark['budget'] == {'trials': None, 'seconds': 100.0}


def test_the_compared_method_is_tested_against_the_others() -> None:
  tests = tiny_study.summary()['sections'][0]['tests']
  assert list(tests) == ['random']
  assert tests['random']['difference'] == 16.6667
  # Unbiased variance 700 / 3 of three answers; shares 1, 0, 0 of the answers
  # against 1/3 each.
  error = math.sqrt(700 / 3 * (4 / 9 + 1 / 9 + 1 / 9))
  assert tests['random']['t'] == float(f'{50 / 3 / error:.6g}')
  assert tests['random']['p_holm'] == tests['random']['p']


def test_runs_that_end_in_one_network_are_one_sample() -> None:
  """A hundred times the seeds with the same answers test the same."""
  records = [r for r in tiny_study.records() if r['answer']]
  many = [
      record | {'seed': record['seed'] + 10 * copy}
      for record in records for copy in range(100)
  ]
  once, often = (
      summarise(tiny_study.config(), {'toy': tiny_study.BENCHMARK}, runs)
      ['sections'][0] for runs in (records, many)
  )
  assert often['methods']['random']['runs'] == 300
  assert often['methods']['random']['answers'] == 3
  for name in ('t', 'p', 'p_holm'):
    assert often['tests']['random'][name] == once['tests']['random'][name]


def test_the_default_network_is_no_sample() -> None:
  """It is given: random's three answers against its figure alone."""
  config = tiny_study.config('random')
  config.methods.layernas.kind = 'default'
  summary = summarise(
      config, {'toy': tiny_study.BENCHMARK}, tiny_study.records()
  )
  (row,) = summary['sections'][0]['tests'].values()
  # Shares 1/3, 1/3, 1/3 against 1, 0, 0; of the common answer's variance
  # 700 / 3 random has a quarter.
  error = math.sqrt(700 / 3 * (4 / 9 / 4 + 1 / 9 + 1 / 9))
  assert row['t'] == float(f'{-50 / 3 / error:.6g}')
  (table,) = [
      table for table in report.chapters(summary)[0].parts[0].tables
      if table.title == 'Tests over distinct answers'
  ]
  assert table.notes[1].startswith('layernas is a network that is given')
  assert len(table.notes) == 2


def test_curves_lie_on_the_grid_of_the_benchmark() -> None:
  summary = tiny_study.summary()
  benchmark = summary['benchmarks']['toy']
  assert benchmark['grid'] == [0, 25, 50, 75, 100]
  packed = summary['sections'][0]['methods']['layernas']['curve']
  curve = unpack(packed, benchmark['decimals'])
  assert curve['start'] == 1
  assert curve['mean'].tolist() == [50, 80, 80, 80]


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


def _described(signal: str = 'short training', **changes: Any) -> dict:
  benchmark: Benchmark = dataclasses.replace(tiny_study.BENCHMARK, **changes)
  section = tiny_study.config().benchmarks.toy
  section.signal = signal
  return describe_benchmark(benchmark, section, 5)


def _facts(**changes: Any) -> dict[str, str]:
  section = tiny_study.summary()['sections'][0]
  return dict(facts(_described(**changes), section))


def test_every_part_of_the_protocol_is_named() -> None:
  found = _facts()
  assert found['Table'] == 'four_networks: 4 networks, 3 in the target interval'
  assert found['Signal'] == (
      'short training (column signal); larger is better'
  )
  assert found['Report metric'] == (
      'test accuracy, % (column test); larger is better'
  )
  assert found['Split and protocol'] == 'toy split'
  assert found['Cost'] == (
      f'column madds, target interval: at most 5 MAdds. {COST_RULE}'
  )
  assert found['Budget of a run'].startswith('100 simulated seconds (column')
  assert 'charged again' in found['Clock']
  assert found['Runs'].startswith('2 of each method (seeds 0 to 1), but 4 of')
  assert found['Enumerated optimum'].startswith('80.00, the best')


@pytest.mark.parametrize(('target', 'words'), [
    (TargetInterval(), 'interval: no limit'),
    (TargetInterval(2, 5), 'at least 2 and at most 5 MAdds'),
])
def test_target_in_words(target: TargetInterval, words: str) -> None:
  assert words in _facts(target=target)['Cost']


def test_a_budget_in_trials_is_clocked_in_trials() -> None:
  described = _described(budget=Budget(trials=20))
  assert described['clock'] == 'trials'
  assert described['grid'] == [0, 5, 10, 15, 20]
  assert _facts(budget=Budget(trials=20))['Budget of a run'] == '20 trials'


def test_noise_failures_and_held_out_trainings_are_told() -> None:
  found = _facts(
      noise=0.5, failing=0.1, rewards=('signal', 'test', 'time'),
      report='held_out',
  )
  assert '(columns signal, test, time), in turn' in found['Signal']
  assert 'deviation 0.5; 10 % of the queries fail' in found['Signal']
  assert 'that no query of the run gave' in found['Report metric']


def test_an_oracle_reward_is_told() -> None:
  assert warning(_described()) == ''
  assert warning(_described('90-epoch oracle reward')) == (
      'Oracle reward: 90-epoch oracle reward.'
  )
  assert 'judged by' in warning(_described(rewards=('test',)))
