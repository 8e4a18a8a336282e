"""Attempts at candidates, and the settings of all executors."""

import pytest

from configs import default
from layernas.errors import UserError
from layernas.executors.executor import Attempts
from layernas.executors.executor import Evaluated
from layernas.executors.executor import ExecutorSettings
from layernas.executors.executor import Result
from layernas.executors.executor import executor_settings
from layernas.executors.executor import lost
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Status

ONE, OTHER = (Candidate(number, 1, (0,), 1, 0) for number in range(2))
MISTAKE = Evaluation(None, 1.0, Status.FAILED, 'a mistake')


@pytest.mark.parametrize('retries', [0, 1, 3])
def test_a_lost_attempt_is_followed_by_so_many(retries):
  attempts = Attempts(retries)
  for _ in range(retries):
    assert attempts.again(ONE, lost('gone'))
  assert not attempts.again(ONE, lost('gone'))
  message = attempts.last(ONE, lost('gone')).evaluation.message
  assert message == 'gone' + (f' ({retries + 1} attempts)' if retries else '')


@pytest.mark.parametrize('evaluation', [
    MISTAKE, Evaluation(1.0), Evaluation(float('nan')),
])
def test_what_would_end_likewise_is_not_tried_again(evaluation):
  attempts = Attempts(5)
  evaluated = Evaluated(
      evaluation, {'train': 1.0}, traceback='Traceback: here'
  )
  assert not attempts.again(ONE, evaluated)
  assert attempts.last(ONE, evaluated) == Result(
      ONE, evaluated.evaluation, {'train': 1.0}, 'Traceback: here'
  )


def test_each_candidate_has_its_own_attempts():
  attempts = Attempts(1)
  assert attempts.again(ONE, lost('gone'))
  assert attempts.again(OTHER, lost('gone'))
  assert not attempts.again(ONE, lost('gone'))


def test_a_success_after_a_failure_says_nothing_of_it():
  attempts = Attempts(1)
  assert attempts.again(ONE, lost('gone'))
  done = Evaluated(Evaluation(0.5))
  assert not attempts.again(ONE, done)
  assert attempts.last(ONE, done).evaluation == Evaluation(0.5)


def test_the_config_has_these_defaults():
  section = default.get_config().executor
  assert executor_settings(section) == ExecutorSettings()


@pytest.mark.parametrize(('field', 'value'), [
    ('name', 'threads'), ('workers', -1), ('workers', 1.5), ('devices', 0),
    ('per_device', 0), ('threads', -2), ('retries', -1), ('timeout', -1.0),
    ('timeout', float('nan')), ('memory', float('inf')),
])
def test_a_wrong_value_is_named(field, value):
  with pytest.raises(UserError, match=rf'executor\.{field}: .*allowed'):
    ExecutorSettings(**({'name': 'processes'} | {field: value}))


def test_inline_cannot_time_out():
  with pytest.raises(UserError, match=r'executor\.timeout: 5\.0: .*inline'):
    ExecutorSettings(timeout=5.0)


@pytest.mark.parametrize(('settings', 'why'), [
    ({'name': 'inline'}, 'with executor.name inline allowed is 1'),
    ({'name': 'processes', 'devices': 2}, 'with executor.devices 2 allowed is'),
])
def test_who_cannot_share_a_device_is_told(settings, why):
  with pytest.raises(UserError, match=f'executor.per_device: 3: {why}'):
    ExecutorSettings(per_device=3, **settings)


def test_a_measured_choice_leaves_out_what_only_workers_have():
  auto = ExecutorSettings('auto', timeout=5.0, per_device=2, retries=7)
  assert auto.called('inline') == ExecutorSettings('inline', retries=7)
  assert auto.called('processes') == ExecutorSettings(
      'processes', timeout=5.0, per_device=2, retries=7
  )


@pytest.mark.parametrize(('address', 'words'), [
    ('ray://127.0.0.1:10001', 'allowed is the address of the cluster itself,'
     ' 127.0.0.1:6379'),
    ('ray://', 'itself, HEAD:6379'),
    ('https://head:6379', 'itself, head:6379'),
    ('head', 'such as HEAD:6379'),
    ('head:port', 'such as HEAD:6379'),
    ('head:70000', 'such as HEAD:6379'),
    (':6379', 'such as HEAD:6379'),
])
def test_addresses_that_cannot_work_say_what_to_type(address, words):
  with pytest.raises(UserError) as error:
    ExecutorSettings('ray', address=address)
  assert str(error.value).startswith(f'executor.address: {address!r}: ')
  assert words in str(error.value)


@pytest.mark.parametrize('address', [
    '', 'auto', 'local', 'head:6379', '[::1]:6379',
])
def test_addresses_of_clusters(address):
  assert ExecutorSettings('ray', address=address).address == address
