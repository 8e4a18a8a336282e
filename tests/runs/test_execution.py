"""Searches in worker processes come to what one process comes to."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from layernas.errors import TrialError
from layernas.errors import UserError
from layernas.executors.choice import Choice
from layernas.executors.executor import ExecutorSettings
from layernas.reports.console import new_console
from layernas.runs import execution
from layernas.runs.run_search import run_search
from layernas.runs.search_record import SearchRecord
from layernas.storage.workdir import Workdir
from tests import tiny
from tests.executors import ray_cluster
from tools.perf.search_outcome import without_times

_FLAGS = (
    f'--config={tiny.ROOT}/tests/tiny.py', '--config.executor.threads=1',
    '--config.executor.workers=2',
)


def _search(workdir: pathlib.Path, *flags: str) -> list[str]:
  return tiny.command('search', *_FLAGS, f'--workdir={workdir}', *flags)


def _outcome(workdir: pathlib.Path) -> dict[str, object]:
  found = without_times(workdir)
  del found['result']['config']
  return found


@pytest.fixture(
    scope='module', name='space',
    params=['tests.tiny:space', 'tests.networks.flax_spaces:same_as_tiny'],
)
def _space(request: pytest.FixtureRequest) -> str:
  """A flag: specs of the package's own, or a user's Flax modules."""
  return f'--config.space={request.param}'


@pytest.fixture(scope='module', name='inline')
def _inline(
    space: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
  workdir = tmp_path_factory.mktemp('inline')
  subprocess.run(_search(workdir, space), check=True, capture_output=True)
  return _outcome(workdir)


@pytest.mark.long
def test_a_worker_s_failure_ends_the_search_where_the_config_says_so(
    tmp_path: pathlib.Path
) -> None:
  config = tiny.changed(compile_ahead=0, raise_failures=True, **{
      'training.learning_rate': 1e30,
      'executor.name': 'processes', 'executor.workers': 1,
  })
  with pytest.raises(TrialError) as error:
    run_search(config, tmp_path)
  for part in ('trial 0, ', 'NonFiniteLossError: loss is nan',
               'Traceback (most recent call last)', 'in train_and_evaluate'):
    assert part in str(error.value)
  history = tmp_path / 'trials.jsonl'
  assert not history.exists() or not history.read_text()


@pytest.fixture(name='tag')
def _tag(monkeypatch: pytest.MonkeyPatch) -> bytes:
  """Stands in the environment of all processes of a test."""
  value = uuid.uuid4().hex
  monkeypatch.setenv('LAYERNAS_TEST', value)
  return value.encode()


@pytest.mark.long
def test_processes_lose_a_worker_and_find_the_same(
    tmp_path: pathlib.Path, inline: dict[str, object], space: str, tag: bytes
) -> None:
  process = subprocess.Popen(
      _search(tmp_path, space, '--config.executor.name=processes'),
      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
  )
  _wait_for(lambda: list(tmp_path.glob('candidates/*')))
  os.kill(_workers(tag)[0], signal.SIGKILL)
  output, _ = process.communicate(timeout=300)
  assert process.returncode == 0, output
  assert 'killed by SIGKILL' in output, output
  assert _outcome(tmp_path) == inline
  assert not list((tmp_path / 'candidates').iterdir())
  assert not _workers(tag)


@pytest.mark.long
def test_a_cluster_loses_a_worker_and_a_node_and_finds_the_same(
    tmp_path: pathlib.Path, inline: dict[str, object], space: str, tag: bytes
) -> None:
  pytest.importorskip('ray')
  with ray_cluster.cluster() as (cluster, nodes):
    process = _search_on(cluster, tmp_path, space)
    before = set(_workers(tag))
    os.kill(min(before), signal.SIGKILL)
    # It was noticed: another one starts.
    _wait_for(lambda: set(_workers(tag)) - before)
    # At once: a node that trains nothing would not be missed.
    cluster.remove_node(nodes.pop())
    output, _ = process.communicate(timeout=300)
  assert process.returncode == 0, output
  assert 'killed by SIGKILL' in output, output
  assert 'lost with its node' in output, output
  assert _outcome(tmp_path) == inline


@pytest.mark.long
def test_a_killed_search_leaves_no_workers_on_a_cluster(
    tmp_path: pathlib.Path, inline: dict[str, object], space: str, tag: bytes
) -> None:
  pytest.importorskip('ray')
  with ray_cluster.cluster() as (cluster, _):
    process = _search_on(cluster, tmp_path, space)
    assert len(_workers(tag)) == 2
    process.kill()
    process.communicate()
    _wait_for(lambda: not _workers(tag))
  subprocess.run(_search(tmp_path, space), check=True, capture_output=True)
  assert _outcome(tmp_path) == inline


def _search_on(
    cluster: Any, workdir: pathlib.Path, space: str
) -> subprocess.Popen:
  """A search on a cluster; two candidates are in training."""
  process = subprocess.Popen(
      _search(
          workdir, space, '--config.executor.name=ray',
          '--config.executor.workers=0',
          f'--config.executor.address={cluster.address}',
      ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
  )
  _wait_for(lambda: len(list(workdir.glob('candidates/*'))) == 2)
  return process


def _workers(tag: bytes) -> list[int]:
  """Worker processes of a test."""
  found = []
  for path in pathlib.Path('/proc').glob('[0-9]*'):
    with contextlib.suppress(OSError):
      if b'layernas.executors.worker' in (path / 'cmdline').read_bytes() and (
          tag in (path / 'environ').read_bytes()
      ):
        found.append(int(path.name))
  return found


def _wait_for(condition: Callable[[], object]) -> None:
  for _ in range(3000):
    if condition():
      return
    time.sleep(0.02)
  raise AssertionError('it did not come to that')


@pytest.mark.long
def test_a_killed_search_goes_on_with_other_workers(
    tmp_path: pathlib.Path, inline: dict[str, object], space: str
) -> None:
  process = subprocess.Popen(
      _search(tmp_path, space, '--config.executor.name=processes'),
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
      _search(tmp_path, space), check=True, capture_output=True, text=True
  )
  assert 'finished already' in done.stdout
  assert _outcome(tmp_path) == inline


@pytest.mark.parametrize(('first', 'measurements'), [
    ('auto', 1), ('inline', 2), ('', 2),
])
def test_auto_measures_once_for_a_workdir(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, first: str,
    measurements: int,
) -> None:
  measured = []

  def choose(settings: ExecutorSettings, _: object) -> Choice:
    measured.append(settings)
    return Choice('processes', 2, 3.0, 4.0)

  monkeypatch.setattr(execution, 'choose', choose)
  config = tiny.get_config().unlock()
  config.executor.name, config.executor.timeout = 'auto', 60.0
  chosen = execution.chosen_settings(config, tmp_path)
  assert (chosen.name, chosen.timeout) == ('processes', 60.0)
  if first:
    config.executor.name = first
    record = SearchRecord(Workdir(tmp_path), new_console(quiet=True))
    with contextlib.closing(record):
      record.open(config, chosen)
  config.executor.name = 'auto'
  assert execution.chosen_settings(config, tmp_path) == chosen
  assert len(measured) == measurements


def test_with_other_processes_workers_are_refused(
    monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr('jax.distributed.is_initialized', lambda: True)
  execution.prepare_process(ExecutorSettings())
  with pytest.raises(UserError, match=r"executor\.name: 'processes': .*inline"):
    execution.prepare_process(ExecutorSettings('processes'))
