"""A worker by its pipes."""

import io
import json
import pathlib
import subprocess
import sys
import time

import pytest

from layernas.executors import connection
from layernas.executors import worker as worker_program
from layernas.executors.executor import Evaluated
from layernas.search import Candidate
from layernas.search import Evaluation
from tests.executors import evaluators

ONE = Candidate(3, 1, (2, 3), 1, 0)


def talk(*lines, timeout=30):
  """Sends lines, ends the input, returns the messages of the worker."""
  done = subprocess.run(
      [sys.executable, '-m', 'layernas.executors.worker'],
      input=b''.join(lines), capture_output=True, timeout=timeout, check=False,
  )
  return list(map(json.loads, done.stdout.splitlines())), done


def settings(**values):
  return connection.encode(
      'settings', evaluator=evaluators.NAME, settings=values
  )


def test_it_ends_where_its_input_does():
  said, done = talk(settings())
  assert done.returncode == 0
  assert [one['kind'] for one in said] in (['started'], ['started', 'ready'])


def test_what_is_wrong_for_all_is_told():
  said, done = talk(connection.encode(
      'settings', evaluator='tests.executors.test_worker:refuses', settings={}
  ))
  assert [one['kind'] for one in said] == ['started', 'error']
  assert said[1]['message'] == 'field x: allowed is y'
  assert done.returncode == 2


def refuses(settings, report):
  from layernas.errors import UserError

  raise UserError('field x: allowed is y')


@pytest.fixture(name='worker')
def _worker():
  process = subprocess.Popen(
      [sys.executable, '-m', 'layernas.executors.worker'],
      stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
  )
  process.stdin.write(settings())
  yield process
  process.kill()
  process.communicate()


def told(process, kind):
  """The next message of a kind."""
  while True:
    message = json.loads(process.stdout.readline())
    if message['kind'] == kind:
      return message


def test_it_answers(worker):
  worker.stdin.write(
      connection.encode('train', candidate=connection.candidate_to_json(ONE))
  )
  assert told(worker, 'ready')['pid'] == worker.pid
  assert told(worker, 'step')['id'] == 3
  evaluated = connection.evaluated_from_json(told(worker, 'done'))
  assert evaluated.evaluation.reward == 0.5


def test_each_attempt_tells_of_its_early_reward():
  output = io.BytesIO()

  def evaluate(candidate, hopeless):
    assert candidate == ONE
    assert not hopeless(0.5)
    assert not hopeless(0.5)
    return Evaluated(Evaluation(0.5))

  link = worker_program.Link(output)
  train = {'kind': 'train', 'candidate': connection.candidate_to_json(ONE)}
  for _ in range(2):
    worker_program._answer(link, evaluate, train)
  told = [json.loads(line)['kind'] for line in output.getvalue().splitlines()]
  assert told == ['early', 'done'] * 2


def starts_slowly(settings, report):
  pathlib.Path(settings['marker']).touch()
  time.sleep(60)


def test_sigterm_ends_it_while_it_starts(tmp_path):
  process = subprocess.Popen(
      [sys.executable, '-m', 'layernas.executors.worker'],
      stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
  )
  process.stdin.write(connection.encode(
      'settings', evaluator='tests.executors.test_worker:starts_slowly',
      settings={'marker': str(tmp_path / 'begun')},
  ))
  while not (tmp_path / 'begun').exists():
    time.sleep(0.01)
  process.terminate()
  assert told(process, 'preempted')['message'] == 'what was finished is saved'
  assert process.wait(30) == 0
  process.communicate()


def raises(settings, report):
  raise OSError('nobody expects this')


def test_a_mistake_leaves_its_reason():
  said, done = talk(connection.encode(
      'settings', evaluator='tests.executors.test_worker:raises', settings={}
  ))
  assert [one['kind'] for one in said] == ['started']
  assert done.returncode == 1
  assert done.stderr.splitlines()[-1] == b'OSError: nobody expects this'


def test_sigterm_ends_it_when_it_has_nothing_to_do(worker):
  told(worker, 'ready')
  worker.terminate()
  assert told(worker, 'preempted')['message'] == 'what was finished is saved'
  assert worker.wait(30) == 0
