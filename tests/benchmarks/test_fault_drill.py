"""The whole drill, with few searches."""

import os
import subprocess
import sys

import pytest

from tests import tiny
from tools.perf.fault_drill_report import read

_PROGRAM = tiny.ROOT / 'benchmarks' / 'fault_drill.py'


def _run(*flags, timeout=600):
  return subprocess.run(
      [sys.executable, str(_PROGRAM), *flags], cwd=tiny.ROOT,
      capture_output=True, text=True, timeout=timeout,
      env=os.environ | {'PYTHONPATH': str(tiny.ROOT)},
  )


@pytest.mark.slow
def test_a_short_drill(tmp_path):
  flags = ('--faults=driver_kill,worker_kill,nan', '--searches=3',
           f'--output={tmp_path}', f'--cache={tmp_path}/cache')
  done = _run(*flags)
  assert done.returncode == 0, done.stderr
  drills = read(tmp_path / 'drills.jsonl')
  assert [drill['fault'] for drill in drills] == [
      'driver_kill', 'worker_kill', 'nan',
  ]
  assert 'failed' not in {drill['outcome'] for drill in drills}
  assert drills[0]['exit_codes'] == [-9, 0]
  before = (tmp_path / 'drills.jsonl').read_bytes()
  assert _run(*flags).returncode == 0
  assert (tmp_path / 'drills.jsonl').read_bytes() == before
