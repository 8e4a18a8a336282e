"""On a full disk every program says so in one line."""

import os
import pathlib

import pytest

from tests import tiny
from tools.perf import fault_drill

_LEFT = 16 << 10
"""Bytes that are left: enough for a workdir to begin."""

_TINY = (
    '--config=tests/tiny.py', '--config.latency.repeats=1',
    '--config.latency.networks=2',
)
_FLAGS = {
    'search': _TINY,
    'train': (),
    'latency': _TINY,
    'benchmark': ('--config=configs/study/own_table.py:smoke',),
    'trace': ('--config=configs/study/trace_example.py',),
    'audit': ('--config=configs/study/audit.py:smoke', '--config.top=1'),
}

_AGAIN = ('latency', 'benchmark')
"""Programs that are run again when there is space; the others' own tests have
their disks fill up in the midst of a run."""


@pytest.mark.long
@pytest.mark.parametrize('program', _FLAGS)
def test_a_full_disk_is_one_line(tmp_path: pathlib.Path, program: str) -> None:
  disk = tmp_path / 'disk'
  flags = [*_FLAGS[program], f'--workdir={disk}/run']
  if program == 'train':
    flags.append(f'--architecture={tiny.result_file(tmp_path)}')
  refused = ''
  try:
    with fault_drill.small_disk(disk):
      space = os.statvfs(disk)
      filler = disk / 'filler'
      filler.write_bytes(bytes(space.f_bavail * space.f_frsize - _LEFT))
      done = tiny.run_program(program, *flags)
      assert done.returncode == 2, done.stdout
      assert done.stderr.startswith(('error: workdir ', 'error: file '))
      assert done.stderr.endswith(
          ': No space left on device; free some space, and the same command'
          ' goes on from here\n'
      )
      assert done.stderr.count('\n') == 1
      filler.unlink()
      if program in _AGAIN:
        done = tiny.run_program(program, *flags)
        assert done.returncode == 0, done.stderr
  except OSError as error:
    refused = str(error)
  assert not refused or refused.startswith('no disk can be mounted: ')
