"""Drills: what is drawn, what is damaged, how a search is judged."""

import collections
import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from layernas.errors import UserError
from tools.perf import fault_drill
from tools.perf.fault_drill import FAULTS
from tools.perf.fault_drill import SearchProcess

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


def drill_of(number, fault, outcome):
  return {'drill': number, 'fault': fault, 'outcome': outcome}


def test_outcomes_are_counted_by_fault():
  shown = fault_drill.table([
      drill_of(0, 'nan', 'went through'), drill_of(1, 'nan', 'went through'),
      drill_of(2, 'disk_full', 'error and resumed'),
      drill_of(3, 'driver_kill', 'killed and resumed'),
      drill_of(4, 'driver_kill', 'failed'),
  ])
  assert "| NaN in a candidate's images | 2 | 2 | 0 | 0 | 0 | 0 |" in shown
  assert '| the disk becomes full | 1 | 0 | 1 | 0 | 0 | 0 |' in shown
  assert '| kill -9 of the search | 2 | 0 | 0 | 0 | 1 | 1 |' in shown
  assert '| a training hangs | 0 | 0 | 0 | 0 | 0 | 0 |' in shown
  assert shown.endswith('| all | 5 | 2 | 1 | 0 | 1 | 1 |')
  with pytest.raises(KeyError):
    fault_drill.table([drill_of(0, 'another', 'went through')])


def test_drills_are_read_by_number(tmp_path):
  path = tmp_path / 'drills.jsonl.gz'
  assert fault_drill.read(path) == []
  drills = [drill_of(number, 'nan', '') for number in (2, 0, 1)]
  fault_drill.write(path, drills)
  assert [one['drill'] for one in fault_drill.read(path)] == [0, 1, 2]


def test_faults_take_turns_and_draws_repeat():
  drills = [fault_drill.drawn(number, 3, tuple(FAULTS)) for number in range(60)]
  assert drills == [
      fault_drill.drawn(number, 3, tuple(FAULTS)) for number in range(60)
  ]
  counts = collections.Counter(drill.fault for drill in drills)
  assert counts == dict.fromkeys(FAULTS, 5)
  for drill in drills:
    if drill.fault in ('worker_kill', 'worker_term', 'hang', 'memory'):
      assert drill.executor == 'processes'
  assert {drill.executor for drill in drills} == {'inline', 'processes'}
  assert len({drill.moment for drill in drills}) == 60


@pytest.fixture(name='workdir')
def _workdir(tmp_path):
  """Checkpoints of a search and of a candidate, and two trials."""
  for directory, steps in (
      ('checkpoints', (9, 10)), ('candidates/000001/checkpoints', (3, 6)),
      ('candidates/000002/checkpoints', ()),
  ):
    (tmp_path / directory).mkdir(parents=True)
    for step in steps:
      (tmp_path / directory / str(step)).mkdir()
      (tmp_path / directory / str(step) / 'file').write_bytes(b'x' * 50)
    (tmp_path / directory / '11.orbax-checkpoint-tmp').mkdir()
  (tmp_path / 'trials.jsonl').write_text('{"a": 1}\n{"a": 2}\n')
  return tmp_path


@pytest.mark.parametrize(('do', 'steps'), [
    (fault_drill.truncate_newest, ('10', '6')),
    (fault_drill.damage_older, ('9', '3')),
])
def test_one_file_of_such_a_checkpoint_is_damaged(workdir, do, steps):
  found = set()
  for seed in range(20):
    for file in workdir.rglob('file'):
      file.write_bytes(b'x' * 50)
    said = do(workdir, random.Random(seed))
    [file] = [
        str(file.relative_to(workdir)) for file in workdir.rglob('file')
        if file.read_bytes() != b'x' * 50
    ]
    assert said.startswith(f'{file}: ')
    found.add(file)
  one, other = steps
  assert found == {f'checkpoints/{one}/file',
                   f'candidates/000001/checkpoints/{other}/file'}


def test_zeros_in_the_history(workdir):
  before = (workdir / 'trials.jsonl').read_bytes()
  said = fault_drill.damage_line(workdir, random.Random(0))
  after = (workdir / 'trials.jsonl').read_bytes()
  assert said.startswith('trials.jsonl: zeros')
  assert len(after) == len(before)
  assert after.count(0) > 0


@pytest.mark.parametrize('do', fault_drill.DAMAGES.values())
def test_nothing_is_said_if_there_is_nothing_to_damage(tmp_path, do):
  assert do(tmp_path, random.Random(0)) == ''


def test_a_full_disk_where_one_can_be_mounted(tmp_path):
  refused = ''
  try:
    with fault_drill.small_disk(tmp_path / 'disk'):
      fault_drill.fill(tmp_path / 'disk' / 'filler', random.Random(0))
      with pytest.raises(OSError, match='No space'):
        (tmp_path / 'disk' / 'other').write_bytes(bytes(1 << 16))
  except OSError as error:
    refused = str(error)
  assert not refused or refused.startswith('no disk can be mounted: ')
  assert not list((tmp_path / 'disk').iterdir())


@pytest.mark.parametrize('wanted', [[], ['disk_full']])
def test_without_a_fault_that_can_be_made_nothing_is_drilled(
    monkeypatch, wanted
):
  def refuse(directory):
    raise OSError('no disk can be mounted')

  monkeypatch.setattr(fault_drill, 'small_disk', refuse)
  with pytest.raises(UserError, match=r'flag --faults: .*: none .*allowed'):
    fault_drill._possible(wanted)


def test_executors_differ_in_nothing_that_counts():
  inline = fault_drill.command('w', 'inline')
  processes = fault_drill.command('w', 'processes', faulty=True, hangs=True)
  assert set(inline) - set(processes) == {
      str(fault_drill.ROOT / 'experiments' / 'search.py'),
      '--config.executor.name=inline',
  }
  for line in (inline, processes):
    assert pathlib.Path(line[1]).exists()
    assert '--config.executor.threads=1' in line


@pytest.fixture(name='ending')
def _ending(tmp_path, monkeypatch):
  """Runs a drill on a stand-in for the search whose runs end so, in turn."""

  def run(fault, *ends, seconds=0.3):
    monkeypatch.setattr(
        fault_drill, 'command', lambda workdir, *others: [
            sys.executable, '-S', '-c', _STAND_IN, str(workdir), *ends
        ],
    )
    drill = fault_drill.Drill(7, fault, 'inline', 0.5, False, 1, 4)
    return fault_drill.run_drill(
        drill, tmp_path, seconds, 0, lambda drill: _RESULT
    )

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
    (['wait'], 'no end after'),
])
def test_bad_ends(ending, monkeypatch, ends, reason):
  monkeypatch.setattr(fault_drill, '_RUNS', 4)
  monkeypatch.setattr(fault_drill, '_LONGEST', 1.0)
  found = ending('exception', *ends)
  assert found['outcome'] == 'failed'
  assert reason in found['reason']


def test_a_run_that_ended_before_its_fault_does_not_count(ending):
  found = ending('driver_kill', 'done', seconds=1e3)
  # Shorter and shorter, but never short enough.
  assert found['outcome'] == 'failed'
  assert found['reason'].startswith('no result after')
  assert found['exit_codes'] == []


@pytest.fixture(name='waits')
def _waits(monkeypatch):
  """For how long the runs of a drill were waited for."""
  waits = []
  wait = SearchProcess.wait

  def noted(search, *seconds):
    waits.extend(seconds)
    return wait(search, *seconds)

  monkeypatch.setattr(SearchProcess, 'wait', noted)
  return waits


@pytest.mark.long
def test_kills_come_later_until_something_can_be_damaged(
    ending, monkeypatch, waits
):
  calls = []

  def damage(*_):
    calls.append(1)
    return 'something' if len(calls) == 8 else ''

  monkeypatch.setitem(fault_drill.DAMAGES, 'history_line', damage)
  found = ending('history_line', *['wait'] * 8, 'done', seconds=0.02)
  assert found['outcome'] == 'killed and resumed'
  assert found['detail'] == 'something'
  assert found['exit_codes'] == [*[-signal.SIGKILL] * 8, 0]
  # The first ones are a share of 0.02 seconds.
  assert max(waits[:2]) < 0.03
  assert max(waits[5:]) > 0.06


@pytest.mark.long
def test_kills_come_earlier_if_searches_end_before(ending, waits):
  found = ending('history_line', 'slowly', seconds=1e3)
  assert found['reason'].startswith('no result after')
  assert max(waits[-3:]) < 30


@pytest.mark.parametrize(('errors', 'clear'), [
    ('W1125 00:40:21.1 7 x.py:3] odd\nerror: workdir W: full\n', True),
    ('of a library\nerror: full\n', True),
    ('error: full\nTraceback\n', False),
    ('', False),
])
def test_an_error_is_the_last_line(tmp_path, errors, clear):
  search = SearchProcess(['true'], tmp_path, {})
  search.wait()
  (tmp_path / 'errors').write_text(errors)
  assert (search.unclear() == '') is clear


@pytest.mark.long
def test_a_worker_that_does_not_answer_has_failed(ending, monkeypatch):
  monkeypatch.setattr(fault_drill, '_ANSWER_SECONDS', 0.3)
  deaf = subprocess.Popen(
      [sys.executable, '-c', 'import signal, time;'
       ' signal.signal(signal.SIGTERM, signal.SIG_IGN);'
       ' print(flush=True); time.sleep(60)'], stdout=subprocess.PIPE,
  )
  deaf.stdout.readline()
  monkeypatch.setattr(fault_drill, 'workers_of', lambda pid: [deaf.pid])
  found = ending('worker_term', 'wait')
  deaf.kill()
  deaf.communicate()
  assert found['outcome'] == 'failed'
  assert found['reason'] == 'a worker does not answer its signal'


@pytest.mark.long
def test_only_workers_are_found():
  # Its own command line names what a worker's does.
  worker = 'import time; time.sleep(60)  # layernas.executors.worker'
  driver = (
      'import subprocess, sys, time;'
      f' subprocess.Popen([sys.executable, "-c", {worker!r}]);'
      ' subprocess.Popen(["sleep", "60"]); time.sleep(60)'
  )
  process = subprocess.Popen([sys.executable, '-c', driver])
  children = pathlib.Path(
      f'/proc/{process.pid}/task/{process.pid}/children'
  )
  try:
    # A child that has just begun still has its parent's command line.
    while len(found := fault_drill.workers_of(process.pid)) != 1 or len(
        children.read_text().split()
    ) < 2:
      time.sleep(0.01)
    [worker] = found
    assert worker != process.pid
    assert fault_drill.workers_of(worker) == []
  finally:
    for pid in children.read_text().split():
      subprocess.run(['kill', pid], check=True)
    process.kill()
    process.wait()
