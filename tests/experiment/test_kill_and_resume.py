"""kill -9 at random moments, then the same command: the same search."""

import pathlib
import random
import subprocess

from tests import tiny

_FLAGS = ('--config=tests/tiny.py',)
_KILLS = 20


def _run_until(workdir: pathlib.Path, seconds: float) -> int | None:
  """Starts the search; kills it so long after its first sign of life."""
  process = subprocess.Popen(
      tiny.command('search', *_FLAGS, f'--workdir={workdir}'), cwd=tiny.ROOT,
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
  )
  for line in process.stdout:
    if line.startswith('bound'):
      break
  try:
    process.wait(timeout=seconds)
  except subprocess.TimeoutExpired:
    process.kill()
  process.stdout.close()
  return process.wait()


def test_twenty_kills_change_nothing(tmp_path: pathlib.Path) -> None:
  whole = tiny.run_program('search', *_FLAGS, f'--workdir={tmp_path / "a"}')
  assert whole.returncode == 0, whole.stderr
  rng = random.Random(0)
  killed = 0
  workdir = tmp_path / 'b'
  # The first candidates compile for seconds, later starts go on in less.
  while killed < _KILLS:
    if _run_until(workdir, rng.uniform(0.0, 4.0)) == 0:
      break
    killed += 1
  last = tiny.run_program('search', *_FLAGS, f'--workdir={workdir}')
  assert last.returncode == 0, last.stderr
  assert killed >= 3
  assert tiny.without_times(workdir) == tiny.without_times(tmp_path / 'a')
