"""A process as a worker: messages, its end, and why."""

import time

import pytest

from layernas.executors.processes import LocalProcess
from tests.executors import evaluators


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
