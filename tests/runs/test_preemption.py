"""SIGTERM in the middle of a training: exit 0, then the same command."""

import json
import pathlib
import signal
import subprocess
import time

import pytest

from tests import tiny
from tools.perf.search_outcome import without_times

pytestmark = pytest.mark.long


def _preempted_in_training(command: list[str], workdir: pathlib.Path) -> str:
  """Output of a program that got SIGTERM when it had begun to train."""
  process = subprocess.Popen(
      command, cwd=tiny.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
      text=True,
  )
  while process.poll() is None and not any(
      path.name.isdigit() for path in workdir.glob('*/*/checkpoints/*')
  ):
    time.sleep(0.005)
  process.send_signal(signal.SIGTERM)
  output, errors = process.communicate(timeout=120)
  assert process.returncode == 0, errors
  return output


def _finished(command: list[str]) -> None:
  subprocess.run(
      command, cwd=tiny.ROOT, capture_output=True, check=True, timeout=300
  )


def _search(workdir: pathlib.Path) -> list[str]:
  return tiny.command(
      'search', '--config=tests/tiny.py', f'--workdir={workdir}'
  )


def _train(search: pathlib.Path, workdir: pathlib.Path) -> list[str]:
  return tiny.command(
      'train', f'--architecture={search}/result.json', f'--workdir={workdir}'
  )


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """A search that was left alone."""
  workdir = tmp_path_factory.mktemp('whole')
  _finished(_search(workdir))
  return workdir


def _check_last_line(output: str) -> None:
  last = output.splitlines()[-1]
  assert last.startswith('preempted: saved after step ')
  assert last.endswith('; the same command goes on from here')


def test_preempted_search_goes_on(
    tmp_path: pathlib.Path, whole: pathlib.Path
) -> None:
  _check_last_line(_preempted_in_training(_search(tmp_path), tmp_path))
  assert (tmp_path / 'candidates' / '000000' / 'checkpoints').exists()
  _finished(_search(tmp_path))
  assert without_times(tmp_path) == without_times(whole)


def test_preempted_final_training_goes_on(
    tmp_path: pathlib.Path, whole: pathlib.Path
) -> None:
  command = _train(whole, tmp_path / 'preempted')
  _check_last_line(_preempted_in_training(command, tmp_path / 'preempted'))
  for name in ('preempted', 'whole'):
    _finished(_train(whole, tmp_path / name))
  results = [
      json.loads((tmp_path / name / 'final.json').read_text())['networks']
      for name in ('whole', 'preempted')
  ]
  assert results[0] == results[1]
