"""Drills are judged; a stand-in for the search ends as it is told."""

import json
import pathlib
import signal
import subprocess
import sys

import pytest

from tools.perf import drill
from tools.perf import drilled_search
from tools.perf import one_drill
from tools.perf.one_drill import run_drill

_STAND_IN = """
import json, os, pathlib, signal, sys, time
workdir, ends = pathlib.Path(sys.argv[1]), sys.argv[2:]
workdir.mkdir(parents=True, exist_ok=True)
count = workdir / 'count'
number = int(count.read_text()) if count.exists() else 0
count.write_text(str(number + 1))
print('bound: 5', flush=True)
def end(how):
  if how == 'slowly':
    time.sleep(0.2)
    how = 'done'
  if how == 'done' or how == 'other':
    (workdir / 'trials.jsonl').write_text('')
    (workdir / 'tables.json').write_text('{}')
    (workdir / 'trace.json').write_text('{}')
    result = {'seconds': 1, 'config': 1, 'winner': how}
    (workdir / 'result.json').write_text(json.dumps(result))
  elif how == 'error':
    print('error: the disk', file=sys.stderr)
    sys.exit(2)
  elif how == 'two lines':
    print('error: the disk\\nerror: it', file=sys.stderr)
    sys.exit(2)
  elif how == 'traceback':
    raise OSError('the disk')
  elif how == 'wait':
    time.sleep(60)
  sys.exit(0)
how = ends[min(number, len(ends) - 1)]
signal.signal(signal.SIGTERM, lambda *_: end('saved'))
end(how)
"""

_RESULT = {'trials': [], 'tables': '{}', 'trace': '{}',
           'result': {'winner': 'done'}}


@pytest.fixture(name='ending')
def _ending(tmp_path, monkeypatch):
  """Runs a drill of a fault on a stand-in whose runs end so, in turn."""

  def run(fault, *ends, seconds=0.3):
    monkeypatch.setattr(
        drilled_search, 'command', lambda workdir, *others: [
            sys.executable, '-c', _STAND_IN, str(workdir), *ends
        ],
    )
    one = drill.Drill(7, fault, 'inline', 0.5, False, 1, 4)
    return run_drill(one, tmp_path, seconds, 0, lambda drill: _RESULT)

  return run


@pytest.mark.parametrize(('fault', 'ends', 'outcome', 'codes'), [
    ('exception', ['done'], 'went through', [0]),
    ('exception', ['error', 'done'], 'error and resumed', [2, 0]),
    ('exception', ['saved', 'done'], 'saved and resumed', [0, 0]),
    ('driver_kill', ['wait', 'done'], 'killed and resumed',
     [-signal.SIGKILL, 0]),
    ('driver_term', ['wait', 'done'], 'saved and resumed', [0, 0]),
])
def test_good_ends(ending, fault, ends, outcome, codes):
  found = ending(fault, *ends)
  assert (found['outcome'], found['exit_codes']) == (outcome, codes)
  assert found['resumes'] == len(codes) - 1
  assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(('ends', 'reason'), [
    (['other'], 'another result'),
    (['error', 'other'], 'another result'),
    (['traceback'], 'exit code 1'),
    (['two lines'], 'exit code 2: 2 lines'),
    (['error', 'error', 'done'], 'does not go on'),
    (['saved'], 'no result after'),
])
def test_bad_ends(ending, monkeypatch, ends, reason):
  monkeypatch.setattr(one_drill, '_RUNS', 4)
  found = ending('exception', *ends)
  assert found['outcome'] == 'failed'
  assert reason in found['reason']


def test_a_search_that_hangs_has_failed(ending, monkeypatch):
  monkeypatch.setattr(drilled_search, '_LONGEST', 0.3)
  found = ending('exception', 'wait')
  assert found['outcome'] == 'failed'
  assert 'no end' in found['reason']


def test_a_worker_that_does_not_answer_has_failed(ending, monkeypatch):
  monkeypatch.setattr(one_drill, '_ANSWER_SECONDS', 0.3)
  deaf = subprocess.Popen(
      [sys.executable, '-c', 'import signal, time;'
       ' signal.signal(signal.SIGTERM, signal.SIG_IGN);'
       ' print(flush=True); time.sleep(60)'], stdout=subprocess.PIPE,
  )
  deaf.stdout.readline()
  monkeypatch.setattr(one_drill.damage, 'workers_of', lambda pid: [deaf.pid])
  found = ending('worker_term', 'wait')
  deaf.kill()
  deaf.communicate()
  assert found['outcome'] == 'failed'
  assert found['reason'] == 'a worker does not answer its signal'


def test_one_that_ended_before_its_fault_does_not_count(ending):
  found = ending('driver_kill', 'done', seconds=1e3)
  # Shorter and shorter, but never short enough.
  assert found['outcome'] == 'failed'
  assert found['reason'].startswith('no result after')
  assert found['exit_codes'] == []


def test_files_are_damaged_behind_a_kill(tmp_path, ending, monkeypatch):
  seen = []

  def damage(workdir: pathlib.Path, rng):
    seen.append(workdir)
    return 'something' if len(seen) == 2 else ''

  monkeypatch.setitem(drill.DAMAGES, 'history_line', damage)
  found = ending('history_line', 'wait', 'wait', 'done')
  assert found['outcome'] == 'killed and resumed'
  assert found['detail'] == 'something'
  assert found['exit_codes'] == [-signal.SIGKILL, -signal.SIGKILL, 0]


@pytest.fixture(name='waits')
def _waits(monkeypatch):
  """For how long the runs of a drill were waited for."""
  waits = []
  wait = drilled_search.SearchProcess.wait

  def noted(search, *seconds):
    waits.extend(seconds)
    return wait(search, *seconds)

  monkeypatch.setattr(drilled_search.SearchProcess, 'wait', noted)
  return waits


def test_kills_come_later_until_something_can_be_damaged(
    ending, monkeypatch, waits
):
  calls = []

  def damage(*_):
    calls.append(1)
    return 'something' if len(calls) == 8 else ''

  monkeypatch.setitem(drill.DAMAGES, 'history_line', damage)
  found = ending('history_line', *['wait'] * 8, 'done', seconds=0.02)
  assert found['outcome'] == 'killed and resumed'
  # The first ones are a share of 0.02 seconds.
  assert max(waits[:2]) < 0.03
  assert max(waits[5:]) > 0.06


def test_kills_come_earlier_where_searches_end_before(ending, waits):
  found = ending('history_line', 'slowly', seconds=1e3)
  assert found['reason'].startswith('no result after')
  assert len(waits) == one_drill._RUNS
  assert max(waits[-3:]) < 30
