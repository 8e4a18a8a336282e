"""Searches in worker processes come to what one process comes to."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from layernas.errors import UserError
from layernas.executors.settings import ExecutorSettings
from layernas.experiment import execution
from tests import tiny

_FLAGS = (
    f'--config={tiny.ROOT}/tests/tiny.py', '--config.executor.threads=1',
    '--config.executor.workers=2',
)


def _search(workdir: pathlib.Path, *flags: str) -> list[str]:
  return tiny.command('search', *_FLAGS, f'--workdir={workdir}', *flags)


def _outcome(workdir: pathlib.Path) -> dict[str, object]:
  found = tiny.without_times(workdir)
  del found['result']['config']
  return found


@pytest.fixture(scope='module', name='inline')
def _inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
  workdir = tmp_path_factory.mktemp('inline')
  subprocess.run(_search(workdir), check=True, capture_output=True)
  return _outcome(workdir)


def test_processes_lose_a_worker_and_find_the_same(
    tmp_path: pathlib.Path, inline: dict[str, object]
) -> None:
  process = subprocess.Popen(
      _search(tmp_path, '--config.executor.name=processes'),
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
  )
  killed = _kill_one(process.pid, tmp_path)
  output, _ = process.communicate(timeout=300)
  assert process.returncode == 0, output
  assert killed
  assert 'killed by SIGKILL' in output
  assert _outcome(tmp_path) == inline
  assert not list((tmp_path / 'candidates').iterdir())


def _kill_one(driver: int, workdir: pathlib.Path) -> bool:
  """Kills a worker that has a candidate, once there is one."""
  for _ in range(3000):
    if list(workdir.glob('candidates/*')):
      children = pathlib.Path(f'/proc/{driver}/task/{driver}/children')
      for pid in map(int, children.read_text().split()):
        command = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
        if b'layernas.executors.worker' in command:
          os.kill(pid, signal.SIGKILL)
          return True
    time.sleep(0.02)
  return False


def test_a_killed_search_goes_on_with_other_workers(
    tmp_path: pathlib.Path, inline: dict[str, object]
) -> None:
  process = subprocess.Popen(
      _search(tmp_path, '--config.executor.name=processes'),
      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
  )
  while not (tmp_path / 'trials.jsonl').exists() or not (
      tmp_path / 'trials.jsonl'
  ).read_bytes():
    assert process.poll() is None
    time.sleep(0.02)
  process.kill()
  process.wait()
  done = subprocess.run(
      _search(tmp_path), check=True, capture_output=True, text=True
  )
  assert 'finished already' in done.stdout
  assert _outcome(tmp_path) == inline


def test_with_other_processes_workers_are_refused(
    monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr('jax.distributed.is_initialized', lambda: True)
  execution.prepare_process(ExecutorSettings())
  with pytest.raises(UserError, match=r"executor\.name: 'processes': .*inline"):
    execution.prepare_process(ExecutorSettings('processes'))


def test_a_wrong_executor_is_one_line(tmp_path: pathlib.Path) -> None:
  done = tiny.run_program(
      'search', *_FLAGS, '--config.executor.name=slurm',
      f'--workdir={tmp_path / "new"}',
  )
  assert done.returncode == 2
  assert "executor.name: 'slurm': allowed" in done.stderr
  assert len(tiny.lines_of(done.stderr)) == 1
  assert not (tmp_path / 'new').exists()
