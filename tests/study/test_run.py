"""Tests of layernas.study.run."""

import json

import pytest

from layernas.search import Budget
from layernas.search import TargetInterval
from layernas.search.strategy import Strategy
from layernas.search.trial import Proposal
from layernas.study.methods.random_search import RandomSearch
from layernas.study.run import Key
from layernas.study.run import key_of
from layernas.study.run import play
from layernas.study.tables.benchmark import HELD_OUT
from tests.benchmarks.test_benchmark import benchmark


class Listed(Strategy):
  """Proposes given architectures one by one."""

  infeasible = 4

  def __init__(self, *architectures):
    self.architectures = architectures

  def generations(self, context):
    for one in self.architectures:
      yield [Proposal(one, context.problem.cost.cost(one))]
    return 'all proposed'

  def observe(self, proposal, trial):
    pass

  def bound(self, problem):
    del problem


ORDER = ((0, 1), (0, 0), (0, 1), (1, 0), (1, 1))


def test_record_of_every_query():
  """By hand: rewards 1.1, 0.1, 1.1, 2.1, 3.1; seconds 2, 1, 2, 3, 4."""
  key = Key('b', 'every_query', 'listed', 3)
  made = benchmark(seconds='time', target=TargetInterval(high=3),
                   budget=Budget(seconds=100))
  record = play(key, made, Listed(*ORDER))
  assert record == {
      'benchmark': 'b', 'accounting': 'every_query', 'method': 'listed',
      'seed': 3,
      'answer': {'architecture': '1-0', 'cost': 3, 'reward': 2.1},
      'reported': 8.0, 'trials': 5, 'networks': 4, 'failed': 0, 'reused': 0,
      'rejected': 4, 'seconds': 12.0, 'stop_reason': 'all proposed',
      'curve': [(1, 2.0, 1.1, 9.0), (4, 8.0, 2.1, 8.0)],
  }
  assert key_of(record) == key
  json.dumps(record, allow_nan=False)


def test_each_network_is_charged_once():
  key = Key('b', 'each_network_once', 'listed', 3)
  made = benchmark(seconds='time', budget=Budget(seconds=100))
  record = play(key, made, Listed(*ORDER))
  assert record['trials'] == record['networks'] == 4
  assert record['reused'] == 1
  assert record['seconds'] == 10.0
  assert record['curve'][-1] == (4, 10.0, 3.1, 7.0)


@pytest.mark.parametrize(('seconds', 'trials'), [(3.0, 2), (3.1, 3), (5.0, 3)])
def test_last_query_may_overshoot(seconds, trials):
  made = benchmark(seconds='time', budget=Budget(seconds=seconds))
  record = play(Key('b', 'every_query', 'm', 0), made, Listed(*ORDER))
  assert record['trials'] == trials


def test_no_answer_in_the_target():
  made = benchmark(target=TargetInterval(high=1), budget=Budget(trials=9))
  record = play(Key('b', 'every_query', 'm', 0), made, Listed((1, 1)))
  assert record['answer'] is None
  assert record['reported'] is None
  assert record['curve'] == []


def test_answer_is_judged_by_the_training_that_no_query_gave():
  made = benchmark(('one', 'two', 'three'), HELD_OUT)
  record = play(Key('b', 'every_query', 'm', 1), made, Listed((1, 1), (1, 1)))
  # Seed 1: queries give 'two', then 'three'; 'one' is held out.
  assert record['answer']['reward'] == 3.3
  assert record['reported'] == 3.1


def test_failures_are_counted_and_charged():
  made = benchmark(
      seconds='time', failing=0.5, budget=Budget(trials=40)
  )
  record = play(Key('b', 'every_query', 'm', 0), made, RandomSearch())
  assert 8 < record['failed'] < 32
  assert record['trials'] == 40
