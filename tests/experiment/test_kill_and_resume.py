"""kill -9 at random moments, then the same command: the same search."""

import pathlib
import random
import subprocess

import pytest

from tests import tiny
from tools.perf.search_outcome import without_times

# Moments in compiling, training, saving and between trials are all met.
_KILLS = 20


def _run(workdir: pathlib.Path, seconds: float) -> bool:
  """Runs the search, killed so long after its first lines.

  Returns:
    Whether it came to its end before.
  """
  process = subprocess.Popen(
      tiny.command('search', '--config=tests/tiny.py', f'--workdir={workdir}'),
      cwd=tiny.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
      text=True,
  )
  for line in process.stdout:
    if line.startswith('bound'):
      break
  try:
    process.wait(timeout=seconds)
  except subprocess.TimeoutExpired:
    process.kill()
  process.stdout.close()
  return process.wait() == 0


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(
    tmp_path: pathlib.Path
) -> None:
  assert _run(tmp_path / 'whole', 300)
  expected = without_times(tmp_path / 'whole')
  rng = random.Random(0)
  kills = searches = 0
  # In a fresh workdir candidates compile for seconds, later they do not.
  while kills < _KILLS:
    workdir = tmp_path / str(searches)
    while not _run(workdir, rng.uniform(0.0, 4.0)):
      kills += 1
    searches += 1
    assert without_times(workdir) == expected
