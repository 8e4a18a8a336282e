"""Worker processes that are slow, hang, die and are preempted."""

import os
import pathlib
import random
import signal
import time

import pytest

from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.executors.executor import ExecutorSettings
from layernas.executors.pool import WorkerPool
from layernas.executors.processes import LocalBackend
from layernas.search import Candidate
from layernas.search import CountedCost
from layernas.search import Problem
from layernas.search import Search
from layernas.search import Status
from layernas.search.sweep import Sweep
from tests.executors import evaluators
from tests.executors.evaluators import Heard
from tests.search import problems

CANDIDATES = [Candidate(number, 1, (number, 1), 1, 0) for number in range(6)]


@pytest.fixture(autouse=True)
def _cpu(monkeypatch):
  """Looking for devices would import JAX."""
  monkeypatch.setattr(
      'layernas.executors.processes.local_devices', lambda: ('cpu', 1)
  )


def pool(tmp_path, workers=2, heard=None, check=lambda: None, retries=2,
         timeout=0.0, **settings):
  chosen = ExecutorSettings(
      'processes', workers=workers, retries=retries, timeout=timeout
  )
  settings['markers'] = str(tmp_path)
  backend = LocalBackend(chosen, tmp_path / 'logs', evaluators.NAME, settings)
  return WorkerPool(backend, chosen, heard or Heard(), check)


def results(executor, candidates=CANDIDATES):
  """By id."""
  with executor:
    for candidate in candidates:
      executor.submit(candidate)
    found = [executor.next_result() for _ in candidates]
  assert {one.candidate.id for one in found} == {c.id for c in candidates}
  return {one.candidate.id: one.evaluation for one in found}


def rewards(found):
  return [found[number].reward for number in sorted(found)]


EXPECTED = [sum(one.architecture) / 10 for one in CANDIDATES]


@pytest.mark.parametrize('workers', [1, 2, 8])
def test_all_are_evaluated(tmp_path, workers):
  heard = Heard()
  executor = pool(tmp_path, workers, heard)
  assert executor.capacity == 2 * workers
  assert rewards(results(executor)) == EXPECTED
  assert sorted(line[0] for line in heard.of('began')) == list(range(6))
  assert (0, 1, {'train_loss': 0.5}) in heard.of('stepped')


@pytest.mark.parametrize('fault', ['kill', 'leave', 'fail', 'preempt'])
def test_a_fault_that_another_attempt_heals(tmp_path, fault):
  heard = Heard()
  faults = {'1': [fault], '4': [fault, fault]}
  found = results(pool(tmp_path, heard=heard, faults=faults))
  assert rewards(found) == EXPECTED
  assert [line[0] for line in heard.of('trouble')].count(4) == 2


@pytest.mark.parametrize(('fault', 'message'), [
    ('kill', 'killed by SIGKILL (perhaps for want of memory) (2 attempts)'),
    ('leave', 'ended with exit code 3: what it left (2 attempts)'),
    ('fail', 'no luck (2 attempts)'),
    ('mistake', 'a mistake'),
])
def test_a_fault_that_stays(tmp_path, fault, message):
  found = results(pool(tmp_path, retries=1, faults={'2': [fault] * 9}))
  assert found[2].status is Status.FAILED
  assert found[2].message.endswith(message)
  del found[2]
  assert rewards(found) == EXPECTED[:2] + EXPECTED[3:]


def test_preemptions_spend_no_attempts(tmp_path):
  faults = {'2': ['preempt'] * 5}
  assert rewards(results(pool(tmp_path, retries=0, faults=faults))) == EXPECTED


@pytest.mark.long
def test_one_that_hangs_is_ended(tmp_path):
  heard = Heard()
  found = results(pool(
      tmp_path, heard=heard, timeout=1.0, retries=1,
      faults={'0': ['hang'], '3': ['hang', 'hang']},
  ))
  assert found[0].reward == EXPECTED[0]
  assert found[3].status is Status.FAILED
  assert 'no result after 1 s (executor.timeout)' in found[3].message
  assert len(heard.of('trouble')) == 2


def test_what_all_share_ends_the_search(tmp_path):
  executor = pool(tmp_path, faults={'1': ['data']})
  with pytest.raises(UserError, match='data: of trial 1: allowed'):
    results(executor)


def test_workers_that_do_not_start_end_the_search(tmp_path):
  heard = Heard()
  executor = pool(tmp_path, heard=heard, broken=True)
  with pytest.raises(UserError, match=r'exit code 4: no such device; allowed'):
    results(executor)
  assert len(heard.of('trouble')) == 6


@pytest.mark.long
def test_workers_that_hang_while_they_start_end_the_search(tmp_path):
  heard = Heard()
  executor = pool(tmp_path, 1, heard, timeout=0.5, sleepy=True)
  with pytest.raises(UserError, match=r'not ready after 0\.5 s .*; allowed'):
    results(executor)
  assert len(heard.of('trouble')) == 3


@pytest.mark.long
def test_a_timeout_does_not_end_workers_that_wait(tmp_path):
  """One of two has nothing to do for two seconds."""
  heard = Heard()
  seconds = {str(one.id): 0.4 for one in CANDIDATES}
  with pool(tmp_path, heard=heard, timeout=1.0, seconds=seconds) as executor:
    for candidate in CANDIDATES:
      executor.submit(candidate)
      executor.next_result()
  assert not heard.of('trouble')


def test_preemption_saves_what_is_under_way(tmp_path):
  heard = Heard()

  def check():
    if [line[1] for line in heard.of('stepped')].count(2) == 2:
      raise Preempted('now')

  everything = {str(number): ['wait_for_sigterm'] for number in range(6)}
  executor = pool(tmp_path, heard=heard, check=check, faults=everything)
  with pytest.raises(Preempted, match='now'):
    results(executor)
  assert len(list(pathlib.Path(tmp_path).glob('saved-*'))) == 2


def test_a_worker_ends_with_the_process_that_started_it(tmp_path):
  """Even where that one is killed."""
  reading, writing = os.pipe()
  child = os.fork()
  if not child:
    executor = pool(tmp_path, faults={'0': ['hang'], '1': ['hang']})
    for candidate in CANDIDATES[:2]:
      executor.submit(candidate)

    def check():
      pids = [one.connection.pid for one in executor._workers.values()
              if one.candidate]
      if len(pids) == 2:
        os.write(writing, f'{pids[0]} {pids[1]}\n'.encode())
        signal.pause()

    executor._check = check
    executor.next_result()
  pids = list(map(int, os.read(reading, 99).split()))
  assert all(_alive(pid) for pid in pids)
  os.kill(child, signal.SIGKILL)
  os.waitpid(child, 0)
  for _ in range(100):
    if not any(map(_alive, pids)):
      return
    time.sleep(0.1)
  pytest.fail('workers outlived the search')


def _alive(pid):
  try:
    state = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2]
  except FileNotFoundError:
    return False
  return state.split()[0] != 'Z'


# By formula, as in built-in spaces, and counted, as of Flax modules.
_FORMULA = problems.make_problem([(1, 2, 3)] * 3)
_COUNTED = Problem(CountedCost('madds', _FORMULA.space, _FORMULA.cost.cost))


@pytest.mark.parametrize(('workers', 'problem'), [
    (1, _FORMULA), pytest.param(3, _COUNTED, marks=pytest.mark.long),
], ids=['1-formula', '3-counted'])
def test_a_search_does_not_depend_on_workers_or_faults(
    tmp_path, workers, problem
):
  rng = random.Random(workers)

  def run(executor):
    search = Search(problem, Sweep())
    with executor:
      while True:
        for candidate in search.ask(executor.capacity - len(search.waiting)):
          executor.submit(candidate)
        if not search.waiting:
          return problems.state(search)
        result = executor.next_result()
        search.tell(result.candidate.id, result.evaluation)

  faults = {
      str(number): rng.choices(['kill', 'fail', 'preempt'], k=2)
      for number in rng.sample(range(20), 6)
  }
  seconds = {str(number): rng.random() / 20 for number in range(40)}
  disturbed = run(pool(tmp_path, workers, faults=faults, seconds=seconds))
  quiet = tmp_path / 'quiet'
  quiet.mkdir()
  assert run(pool(quiet, 1)) == disturbed
