"""The programs as commands."""

import json
import os
import subprocess
import sys

import pytest

from tests import tiny
from tools.perf import candidates
from tools.perf import fault_drill

_PERF = tiny.ROOT / 'tools' / 'perf'
_PROGRAMS = [
    path.stem for path in sorted(_PERF.glob('*.py'))
    if '.run(main)' in path.read_text()
]

pytestmark = pytest.mark.long


def run(program: str, *flags: str) -> subprocess.CompletedProcess:
  return subprocess.run(
      [sys.executable, str(_PERF / f'{program}.py'), *flags], cwd=tiny.ROOT,
      capture_output=True, text=True, timeout=600,
      env=os.environ | {'PYTHONPATH': str(tiny.ROOT)},
  )


@pytest.mark.parametrize('program', _PROGRAMS)
def test_help(program):
  done = run(program, '--help')
  assert f'.venv/bin/python tools/perf/{program}.py' in ' '.join(
      done.stdout.replace('OPENBLAS_NUM_THREADS=1 ', '').split()
  ), done.stderr


def test_a_loop_needs_our_candidates(tmp_path):
  done = run('candidates', '--run=naive', f'--output={tmp_path}')
  assert done.returncode == 2
  assert '--mode=ours comes first' in done.stderr
  assert done.stderr.splitlines()[-1].startswith('error: ')


@pytest.mark.parametrize('program', [
    name for name in _PROGRAMS if name != 'compare_searches'
])
def test_a_wrong_flag_is_one_line(program):
  done = run(program, '--nonsense=1')
  # TensorFlow, where a program imports it, has its say before.
  said = done.stderr.splitlines()
  assert (done.returncode, said[-1]) == (
      2, "error: Unknown command line flag 'nonsense'"
  )
  assert not any(line.startswith(('Traceback', 'Usage')) for line in said)


def test_an_output_that_cannot_be_made_is_one_line(tmp_path):
  file = tmp_path / 'file'
  file.touch()
  done = run(
      'executors', '--mode=overhead', '--trials=1', '--rounds=1',
      f'--output={file}/below',
  )
  assert (done.returncode, done.stderr.count('\n')) == (2, 1), done.stderr
  assert f"error: flag --output: '{file}/below': {file}" in done.stderr


def test_modes_of_candidates(tmp_path):
  flags = (f'--output={tmp_path}', '--candidates=1', '--steps=2',
           '--naive_steps=2')
  for mode in ('ours', 'naive', 'report'):
    done = run('candidates', f'--mode={mode}', *flags)
    assert done.returncode == 0, done.stderr
  folder = tmp_path / 'cifar10_small'
  systems = candidates.read_systems(folder)
  assert list(systems) == ['naive', 'ours', 'ours_second_run']
  assert systems['ours']['compilations'] > 0
  assert systems['ours_second_run']['compilations'] == 0
  assert candidates.report_text(systems) in done.stdout
  assert (folder / 'candidates.png').exists()


def test_a_short_drill(tmp_path):
  flags = ('--faults=driver_kill,worker_kill,nan', '--searches=3',
           f'--output={tmp_path}', f'--cache={tmp_path}/cache')
  done = run('fault_drill', *flags)
  assert done.returncode == 0, done.stderr
  drills = fault_drill.read(tmp_path / 'drills.jsonl.gz')
  assert [drill['fault'] for drill in drills] == [
      'driver_kill', 'worker_kill', 'nan',
  ]
  assert 'failed' not in {drill['outcome'] for drill in drills}
  assert drills[0]['exit_codes'] == [-9, 0]
  before = (tmp_path / 'drills.jsonl.gz').read_bytes()
  assert run('fault_drill', *flags).returncode == 0
  assert (tmp_path / 'drills.jsonl.gz').read_bytes() == before


def test_overhead_of_executors(tmp_path):
  done = run('executors', '--mode=overhead', '--trials=20', '--rounds=1',
             f'--output={tmp_path}')
  assert done.returncode == 0, done.stderr
  found = json.loads((tmp_path / 'overhead.json').read_text())
  assert set(found['milliseconds']) == {'inline', 'processes', 'ray'}


def test_a_case_of_workers(tmp_path):
  done = run('workers', '--cases=v3_large_220m: interleaved, 8',
             f'--output={tmp_path}')
  assert done.returncode == 0, done.stderr
  assert run(
      'workers', '--mode=report', f'--output={tmp_path}'
  ).stdout in done.stdout
  assert (tmp_path / 'workers.png').exists()
