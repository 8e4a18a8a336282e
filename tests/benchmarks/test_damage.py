"""What a drill does to files and processes."""

import pathlib
import random
import subprocess
import sys
import time

import pytest

from tools.perf import damage


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


def changed(workdir: pathlib.Path) -> set[str]:
  return {
      str(file.relative_to(workdir)) for file in workdir.rglob('file')
      if file.read_bytes() != b'x' * 50
  }


@pytest.mark.parametrize(('do', 'steps'), [
    (damage.truncate_newest, ('10', '6')), (damage.damage_older, ('9', '3')),
])
def test_one_file_of_such_a_checkpoint(workdir, do, steps):
  found = set()
  for seed in range(20):
    for file in workdir.rglob('file'):
      file.write_bytes(b'x' * 50)
    said = do(workdir, random.Random(seed))
    [file] = changed(workdir)
    assert said.startswith(f'{file}: ')
    found.add(file)
  one, other = steps
  assert found == {f'checkpoints/{one}/file',
                   f'candidates/000001/checkpoints/{other}/file'}


def test_zeros_in_the_history(workdir):
  before = (workdir / 'trials.jsonl').read_bytes()
  said = damage.damage_line(workdir, random.Random(0))
  after = (workdir / 'trials.jsonl').read_bytes()
  assert said.startswith('trials.jsonl: zeros')
  assert len(after) == len(before)
  assert after.count(0) > 0


@pytest.mark.parametrize('do', [
    damage.truncate_newest, damage.damage_older, damage.damage_line,
])
def test_where_there_is_nothing_nothing_is_said(tmp_path, do):
  assert do(tmp_path, random.Random(0)) == ''


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
    while len(found := damage.workers_of(process.pid)) != 1 or len(
        children.read_text().split()
    ) < 2:
      time.sleep(0.01)
    [worker] = found
    assert worker != process.pid
    assert damage.workers_of(worker) == []
  finally:
    for pid in children.read_text().split():
      subprocess.run(['kill', pid], check=True)
    process.kill()
    process.wait()


def test_a_full_disk(tmp_path):
  try:
    with damage.small_disk(tmp_path / 'disk'):
      damage.fill(tmp_path / 'disk' / 'filler', random.Random(0))
      with pytest.raises(OSError, match='No space'):
        (tmp_path / 'disk' / 'other').write_bytes(bytes(1 << 16))
  except OSError as error:
    if 'no disk can be mounted' not in str(error):
      raise
    pytest.skip(str(error))
  assert not list((tmp_path / 'disk').iterdir())
