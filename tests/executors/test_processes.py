"""Worker processes of this machine: devices, messages, their end and why."""

import dataclasses
import time

import pytest

from layernas.errors import UserError
from layernas.executors import processes
from layernas.executors.executor import ExecutorSettings
from layernas.executors.processes import LocalProcess
from tests.executors import evaluators


def environments(backend, count, **fields):
  settings = ExecutorSettings('processes', **fields)
  return processes.environments(settings, backend, count)


def test_a_worker_on_cpu_has_one_thread_unless_the_config_says(monkeypatch):
  monkeypatch.setattr(processes, 'usable_cores', lambda: 3)
  assert [one['NPROC'] for one in environments('cpu', 1)] == ['1'] * 3
  two = environments('cpu', 8, workers=2, threads=4, devices=2)
  assert [one['NPROC'] for one in two] == ['4', '4']
  assert [one['JAX_NUM_CPU_DEVICES'] for one in two] == ['2', '2']


def test_without_affinities_all_cores_have_workers(monkeypatch):
  monkeypatch.delattr(processes.os, 'sched_getaffinity')
  monkeypatch.setattr(processes.os, 'cpu_count', lambda: 3)
  assert len(environments('cpu', 1)) == 3


def test_not_more_than_eight_workers_on_cpu_unasked(monkeypatch):
  monkeypatch.setattr(processes, 'usable_cores', lambda: 64)
  assert len(environments('cpu', 1)) == 8
  assert len(environments('cpu', 1, workers=20)) == 20


def test_gpus_are_divided(monkeypatch):
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
  shown = [one['CUDA_VISIBLE_DEVICES'] for one in environments('gpu', 3)]
  assert shown == ['0', '1', '2']
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '4,5,6,7')
  pairs = environments('gpu', 4, devices=2)
  assert [one['CUDA_VISIBLE_DEVICES'] for one in pairs] == ['4,5', '6,7']


def test_workers_share_gpus_and_their_memory(monkeypatch):
  for name in ('XLA_CLIENT_MEM_FRACTION', 'XLA_PYTHON_CLIENT_MEM_FRACTION'):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '4,5')
  given = environments('gpu', 2, per_device=3)
  assert [one['CUDA_VISIBLE_DEVICES'] for one in given] == list('454545')
  assert {one['XLA_PYTHON_CLIENT_MEM_FRACTION'] for one in given} == {'0.3000'}
  # Few workers lie on many devices.
  few = environments('gpu', 2, per_device=3, workers=2)
  assert [one['CUDA_VISIBLE_DEVICES'] for one in few] == ['4', '5']
  assert 'XLA_PYTHON_CLIENT_MEM_FRACTION' not in environments('gpu', 2)[0]


@pytest.mark.parametrize('name', [
    'XLA_CLIENT_MEM_FRACTION', 'XLA_PYTHON_CLIENT_MEM_FRACTION',
])
def test_the_user_s_own_share_of_memory_is_divided(monkeypatch, name):
  monkeypatch.setenv(name, '.5')
  [one, _] = environments('gpu', 1, per_device=2)
  assert {key: one[key] for key in one if 'MEM' in key} == {name: '0.2500'}
  monkeypatch.setenv(name, 'half')
  with pytest.raises(UserError, match=f"variable {name}: 'half': allowed"):
    environments('gpu', 1, per_device=2)


@pytest.mark.parametrize(('backend', 'why'), [
    ('tpu', 'a chip belongs to one process'), ('cpu', 'executor.workers'),
    ('metal', 'only GPUs'),
])
def test_what_is_no_gpu_is_not_shared(backend, why):
  said = rf'executor\.per_device: 2: on {backend} allowed is 1: .*{why}'
  with pytest.raises(UserError, match=said):
    environments(backend, 4, per_device=2)


def test_chips_are_divided():
  pairs = environments('tpu', 4, devices=2)
  assert [one['TPU_VISIBLE_DEVICES'] for one in pairs] == ['0,1', '2,3']
  assert {one['TPU_CHIPS_PER_PROCESS_BOUNDS'] for one in pairs} == {'1,2,1'}


@dataclasses.dataclass
class Device:
  """A device as JAX describes it."""

  id: int
  platform: str
  coords: list[int]
  core_on_chip: int = 0


def test_cores_of_a_chip_are_counted_once():
  """A v3-8 has four chips of two cores, a v4-8 four of one."""
  cores = [
      Device(number, 'tpu', [number // 2 % 2, number // 4, 0], number % 2)
      for number in range(8)
  ]
  assert processes.accelerators(cores) == 4
  assert processes.accelerators(cores[::2]) == 4
  gpus = [Device(number, 'gpu', [0]) for number in range(3)]
  assert processes.accelerators(gpus) == 3
  given = environments('tpu', processes.accelerators(cores))
  assert [one['TPU_VISIBLE_DEVICES'] for one in given] == ['0', '1', '2', '3']


@pytest.mark.parametrize(('backend', 'count', 'fields'), [
    ('gpu', 4, {'workers': 5}), ('gpu', 4, {'devices': 8}),
    ('gpu', 4, {'workers': 3, 'devices': 2}), ('tpu', 8, {'devices': 3}),
    ('gpu', 2, {'workers': 5, 'per_device': 2}),
    ('metal', 1, {}),
])
def test_what_there_is_no_room_for_is_refused(backend, count, fields):
  with pytest.raises(UserError, match=r'executor\.\w+: .*allowed'):
    environments(backend, count, **fields)


def test_another_process_looks_for_devices():
  assert processes.local_devices() == ('cpu', 1)


def test_where_jax_does_not_start_the_error_says_why(monkeypatch):
  monkeypatch.setenv('JAX_PLATFORMS', 'abacus')
  said = r"devices with JAX_PLATFORMS='abacus': .*allowed"
  with pytest.raises(UserError, match=said):
    processes.local_devices()


@pytest.fixture(name='start')
def _start(tmp_path):
  started = []

  def start(**settings):
    started.append(LocalProcess(
        '0', {'NPROC': '1'}, tmp_path / 'logs' / '0.log', evaluators.NAME,
        settings,
    ))
    return started[-1]

  yield start
  for one in started:
    one.kill()
    one.close(0.0)


def received(process):
  """Its next messages behind 'started', or none where it has ended."""
  for _ in range(3000):
    found = [one for one in process.receive() if one['kind'] != 'started']
    if found or process.ended:
      return found
    time.sleep(0.01)
  raise AssertionError('nothing was received')


def test_it_says_when_it_is_ready(start):
  process = start()
  [message] = received(process)
  assert message == {'kind': 'ready', 'pid': process.pid}
  assert not process.ended


def test_its_end_has_a_reason(start, tmp_path):
  process = start(broken=True)
  assert not received(process)
  assert process.ended == 'ended with exit code 4: no such device'
  assert 'no such device' in (tmp_path / 'logs' / '0.log').read_text()


def test_a_kill_is_named(start):
  process = start()
  received(process)
  process.kill()
  assert not received(process)
  assert process.ended.startswith('killed by SIGKILL')
  process.send('train', candidate={})


def test_one_that_does_not_end_in_time_is_killed(start):
  process = start()
  received(process)
  process.close(0.1)
