"""kill -9 at random moments, then the same command: the same search."""

import pathlib
import random
import subprocess

import pytest

from tests import tiny


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


@pytest.mark.parametrize(
    'wanted', [4, pytest.param(20, marks=pytest.mark.slow)]
)
def test_kills_change_nothing(tmp_path: pathlib.Path, wanted: int) -> None:
  assert _run(tmp_path / 'whole', 300)
  expected = tiny.without_times(tmp_path / 'whole')
  rng = random.Random(0)
  kills = searches = 0
  # In a fresh workdir candidates compile for seconds, later they do not:
  # moments in compiling, training, saving and between trials are all met.
  while kills < wanted:
    workdir = tmp_path / str(searches)
    while not _run(workdir, rng.uniform(0.0, 4.0)):
      kills += 1
    searches += 1
    assert tiny.without_times(workdir) == expected
