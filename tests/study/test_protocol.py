"""The protocol of a benchmark in words."""

import dataclasses
from typing import Any

import pytest

from layernas.search import Budget
from layernas.search import TargetInterval
from layernas.study.protocol import COST_RULE
from layernas.study.protocol import describe_benchmark
from layernas.study.protocol import facts
from layernas.study.protocol import warning
from layernas.study.tables.benchmark import Benchmark
from tests.study import tiny_study


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
  assert found['Signal'] == 'short training (column signal)'
  assert found['Report metric'] == 'test accuracy, % (column test)'
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


def test_five_digits_of_the_best_figure_are_kept() -> None:
  assert _described()['decimals'] == 3
  assert _described(report='madds')['decimals'] == 4
