"""Runs of a study: what one gives, all of them at once, and their file."""

import io
import json
import signal
import subprocess
import sys

import pytest
from rich.console import Console

from layernas.search import Budget
from layernas.search import TargetInterval
from layernas.search.strategy import Strategy
from layernas.search.trial import Proposal
from layernas.study import run
from layernas.study import run_study
from layernas.study.run import Key
from layernas.study.run import key_of
from layernas.study.run import play
from layernas.study.run import play_all
from layernas.study.run_study import RunsFile
from layernas.study.run_study import StudyProgress
from layernas.study.setup import make_benchmark
from layernas.study.setup import make_strategy
from layernas.study.tables.benchmark import HELD_OUT
from tests.study.study_config import get_config
from tests.study.test_benchmark import benchmark

ORDER = ((0, 1), (0, 0), (0, 1), (1, 0), (1, 1))


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


def lines_of(keys, **changes):
  config = get_config().copy_and_resolve_references()
  config.unlock()
  config.update(changes)
  return [line for lines in play_all(config, keys) for line in lines]


def keys(count):
  return [
      Key('macro', 'every_query', method, seed)
      for method in ('layernas', 'random') for seed in range(count)
  ]


def test_lines_are_the_runs_as_played_one_by_one():
  config = get_config()
  benchmark = make_benchmark('macro', config.benchmarks.macro)
  expected = []
  for key in keys(3):
    strategy = make_strategy(config.methods[key.method])
    expected.append(json.dumps(play(key, benchmark, strategy)))
  assert lines_of(keys(3), workers=1) == expected


def test_several_processes_give_the_same_lines_in_some_order():
  """More chunks than workers, so that one worker plays several."""
  wanted = keys(25)
  one = lines_of(wanted, workers=1)
  two = lines_of(wanted, workers=2)
  assert len(two) == 50
  assert sorted(two) == sorted(one)


def test_all_cores_by_default(monkeypatch):
  monkeypatch.setattr(run, '_CHUNK', 1)
  started = []

  class Pool:
    def __init__(self, count, *initializing):
      started.append((count, len(initializing)))
      raise KeyboardInterrupt

  monkeypatch.setattr(
      run.concurrent.futures, 'ProcessPoolExecutor', Pool
  )
  monkeypatch.setattr(run, 'usable_cores', lambda: 7)
  for count, expected in ((0, 7), (3, 3)):
    with pytest.raises(KeyboardInterrupt):
      lines_of(keys(10), workers=count)
    assert started[-1] == (expected, 3)


def line(method='m', seed=0):
  return json.dumps({
      'benchmark': 'b', 'accounting': 'a', 'method': method, 'seed': seed,
      'curve': [],
  })


def test_runs_are_there_when_read_again(tmp_path):
  runs = RunsFile(tmp_path / 'runs.jsonl')
  assert runs.keys == set()
  runs.append([line(seed=1), line(seed=0)])
  runs.append([line('l', 5)])
  expected = {
      Key('b', 'a', 'm', 0), Key('b', 'a', 'm', 1), Key('b', 'a', 'l', 5)
  }
  assert runs.keys == expected
  assert RunsFile(tmp_path / 'runs.jsonl').keys == expected


@pytest.mark.parametrize('damage', [
    line(seed=2)[:30], '{"benchmark": "b"}', 'null', '[]', '\x00\x00',
    line(seed=2).replace('"seed": 2', '"seed": "two"'),
])
def test_damaged_lines_are_dropped_and_nothing_else(tmp_path, damage):
  path = tmp_path / 'runs.jsonl'
  path.write_text('\n'.join([line(seed=0), damage, line(seed=1)]))
  runs = RunsFile(path)
  assert runs.keys == {Key('b', 'a', 'm', 0), Key('b', 'a', 'm', 1)}
  runs.append([line(seed=2)])
  assert [record['seed'] for record in RunsFile(path).sort()] == [0, 1, 2]


def console(terminal):
  return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def test_lines_take_the_place_of_the_bar(monkeypatch):
  now = iter([100.0, 105.0, 120.0, 121.0])
  monkeypatch.setattr(run_study.time, 'monotonic', lambda: next(now))
  where = console(terminal=False)
  with StudyProgress(where, finished=10, total=60) as shown:
    shown.advance(5)
    shown.advance(5)
    shown.advance(1)
  # 10 runs in 20 seconds, 40 to go; the other calls come too early.
  assert where.file.getvalue() == '20 of 60 runs, about 80 s left\n'


def test_bar_on_a_terminal():
  where = console(terminal=True)
  with StudyProgress(where, finished=10, total=60) as shown:
    shown.advance(50)
  assert '60/60' in where.file.getvalue()
  assert 'ETA' in where.file.getvalue()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_what_is_started_meanwhile_does_not_hear_signals_yet(number):
  before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
  with run.signals_held():
    child = subprocess.run(
        [sys.executable, '-c', 'import os, signal; '
         f'os.kill(os.getpid(), {int(number)}); print("lives")'],
        capture_output=True, text=True,
    )
  assert (child.returncode, child.stdout, child.stderr) == (0, 'lives\n', '')
  assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
