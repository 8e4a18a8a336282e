"""What processes of one run tell each other."""

import json
import signal
import sys

import numpy as np
import pytest

from layernas.errors import UserError
from layernas.training import hosts
from tests import processes


def test_one_process_is_told_nothing() -> None:
  tree = {'x': np.zeros(3)}
  hosts.join('')
  assert hosts.is_first()
  assert hosts.shared((1, 2)) == (1, 2)
  assert hosts.shared_arrays(tree) is tree
  assert hosts.on_first(lambda: {1}) == hosts.on_all(lambda: {1}) == {1}
  hosts.agree('anything', object())
  assert hosts.all_come('anywhere')
  with pytest.raises(ValueError, match='mine'), hosts.together():
    raise ValueError('mine')


@pytest.fixture(scope='module', name='answers')
def _answers() -> list[dict[str, object]]:
  """What two real processes print."""
  address = processes.free_address()
  ended = processes.ended(processes.start([
      [sys.executable, '-m', 'tests.training.hosts_program', address, '2', part]
      for part in '01'
  ]))
  assert [one.returncode for one in ended] == [0, 0], ended[0].stderr
  return [json.loads(one.stdout.splitlines()[-1]) for one in ended]


@pytest.mark.long
def test_process_0_is_told_to_all(answers: list[dict]) -> None:
  assert [one['first'] for one in answers] == [True, False]
  for one in answers:
    assert one['told'] == {'index': 0, 'text': 'é'}
    assert one['on_first'] == [0]
    assert one['bytes'] == [
        np.int32(7).tobytes().hex(),
        np.float32([-0.0, 0.0, np.nan]).tobytes().hex(),
    ]
    assert one['shapes'] == [[], [3]]


@pytest.mark.long
def test_devices_augment_the_share_of_their_process(answers) -> None:
  host, device = zip(*(one['batches'] for one in answers), strict=True)
  assert host == device
  assert host[0] != host[1]


@pytest.mark.long
def test_errors_of_one_reach_all(answers: list[dict]) -> None:
  for one in answers:
    assert one['on_first_fails'] == '0 is broken'
    assert one['on_all_fails'] == 'process 1: 1 is broken'


@pytest.mark.long
def test_each_keeps_its_own_result(answers: list[dict]) -> None:
  assert [one['on_all'] for one in answers] == [[0], [1]]


@pytest.mark.long
def test_a_difference_is_named(answers: list[dict]) -> None:
  for one in answers:
    assert one['agree'] is None
    assert one['disagree'] == (
        'config.a.b: process 0 has 0, process 1 has 1: allowed is the same in'
        ' every process'
    )


def test_a_platform_that_does_not_know(capsys: pytest.CaptureFixture) -> None:
  with pytest.raises(UserError, match=r"--coordinator: 'auto': .*host:port"):
    hosts.join(hosts.AUTO)
  assert 'waiting for the other processes at auto' in capsys.readouterr().err


def test_signal_is_noticed_inside_alone() -> None:
  before = signal.getsignal(signal.SIGTERM)
  with hosts.listening():
    assert not hosts.noticed()
    signal.raise_signal(signal.SIGTERM)
    assert hosts.noticed()
    assert hosts.noticed()
  assert signal.getsignal(signal.SIGTERM) is before
  assert not hosts.noticed()
