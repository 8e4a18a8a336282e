"""Tests of layernas.study.run; kills are in test_run_study."""

import json

import pytest

from layernas.study import run
from layernas.study.run import Key
from layernas.study.run import play
from layernas.study.run import play_all
from layernas.study.setup import make_benchmark
from layernas.study.setup import make_strategy
from tests.study.study_config import get_config


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


def test_nothing_to_play():
  assert lines_of([], workers=2) == []


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
  monkeypatch.setattr(run, '_cores', lambda: 7)
  for count, expected in ((0, 7), (3, 3)):
    with pytest.raises(KeyboardInterrupt):
      lines_of(keys(10), workers=count)
    assert started[-1] == (expected, 3)
