"""Several processes do together what one does, where they have it in common."""

import json
import os
import pathlib
import signal
import subprocess
import time

import jax
import pytest

from layernas.data.registry import load_dataset
from layernas.runs import setup
from tests import processes
from tests import tiny
from tools.perf.search_outcome import without_times

# One bucket: a whole search of four trials.
_SEARCH = ('--config=tests/tiny.py', '--config.search.buckets=1')


def _pair(
    workdir: pathlib.Path, name: str, *flags: str
) -> list[subprocess.Popen]:
  """A program in two processes, each with a directory of its own.

  What process 0 writes the other cannot see.
  """
  address = processes.free_address()
  return processes.start([
      tiny.command(
          name, *flags, f'--workdir={workdir}/{index}',
          *processes.joining(index, 2, address),
      )
      for index in range(2)
  ])


def _check_ended(started: list[subprocess.Popen], code: int = 0) -> list:
  ended = processes.ended(started)
  assert [one.returncode for one in ended] == [code, code], ended[0].stderr
  return ended


def test_compares_config_versions_devices_and_data(
    monkeypatch: pytest.MonkeyPatch
) -> None:
  compared = {}
  monkeypatch.setattr(setup.hosts, 'agree', compared.__setitem__)
  config = tiny.get_config()
  setup.check_same_run(config, load_dataset(config.data))
  assert compared['config'] == config.to_dict()
  assert compared['versions']['jax'] == jax.__version__
  assert compared['local devices'] == jax.local_device_count()
  assert compared['data']['num_classes'] == 10
  assert set(compared['data']['images']) == {
      'train', 'validation', 'all_train', 'test'
  }


@pytest.fixture(scope='module', name='alone')
def _alone(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """The search by one process with two devices."""
  workdir = tmp_path_factory.mktemp('alone')
  subprocess.run(
      tiny.command('search', *_SEARCH, f'--workdir={workdir}'), cwd=tiny.ROOT,
      env=os.environ | {'JAX_NUM_CPU_DEVICES': '2'}, capture_output=True,
      check=True, timeout=120,
  )
  return workdir


@pytest.mark.long
def test_one_gets_sigterm_and_the_search_goes_on(
    tmp_path: pathlib.Path, alone: pathlib.Path
) -> None:
  started = _pair(tmp_path, 'search', *_SEARCH)
  while started[0].poll() is None and not any(
      path.name.isdigit() for path in tmp_path.glob('0/*/*/checkpoints/*')
  ):
    time.sleep(0.01)
  started[1].send_signal(signal.SIGTERM)
  for one in _check_ended(started):
    assert 'preempted: saved after step ' in one.stdout
  _check_ended(_pair(tmp_path, 'search', *_SEARCH))
  assert without_times(tmp_path / '0') == without_times(alone)
  assert not (tmp_path / '1').exists()


@pytest.mark.long
def test_two_configs_are_an_error(tmp_path: pathlib.Path) -> None:
  address = processes.free_address()
  started = processes.start([
      tiny.command(
          'search', *_SEARCH, f'--config.seed={index}',
          f'--workdir={tmp_path}/run', *processes.joining(index, 2, address),
      )
      for index in range(2)
  ])
  for one in _check_ended(started, code=2):
    assert 'error: config.seed: process 0 has 0, process 1 has 1' in one.stderr
  assert not (tmp_path / 'run').exists()


@pytest.mark.long
@pytest.mark.parametrize('broken', [0, 1])
def test_an_exception_in_one_ends_both(
    tmp_path: pathlib.Path, broken: int
) -> None:
  """The other one waits for it in a collective."""
  ended = _check_ended(_pair(
      tmp_path, 'search', *_SEARCH,
      '--config.data.source=tests.runs.broken_data:load',
      f'--config.data.settings.process={broken}',
  ), code=1)
  said = 'RuntimeError: the disk of this host is gone'
  other = ended[1 - broken].stderr
  assert f'error: process {broken}: {said}' in other.splitlines()
  assert 'Traceback' not in other
  assert said in ended[broken].stderr.splitlines()


@pytest.mark.long
def test_final_training_is_that_of_one_process(
    tmp_path: pathlib.Path, alone: pathlib.Path
) -> None:
  flags = (f'--architecture={alone}/result.json', '--config=tests/tiny.py')
  subprocess.run(
      tiny.command('train', *flags, f'--workdir={tmp_path}/alone'),
      cwd=tiny.ROOT, env=os.environ | {'JAX_NUM_CPU_DEVICES': '2'},
      capture_output=True, check=True, timeout=300,
  )
  _check_ended(_pair(tmp_path, 'train', *flags))
  networks = [
      json.loads((tmp_path / name / 'final.json').read_text())['networks']
      for name in ('alone', '0')
  ]
  assert networks[0] == networks[1]
  assert not (tmp_path / '1').exists()
