"""Workers on a real cluster of a head and two nodes of one core each."""

import socket
import time

import pytest

from layernas.errors import UserError
from layernas.executors import connection
from layernas.executors.executor import ExecutorSettings
from layernas.executors.pool import WorkerPool
from layernas.search import Candidate
from tests.executors import evaluators
from tests.executors import ray_cluster
from tests.executors.evaluators import Heard

ray = pytest.importorskip('ray')
ray_place = pytest.importorskip('layernas.executors.ray_cluster')

CANDIDATES = [Candidate(number, 1, (number, 1), 1, 0) for number in range(6)]
REWARDS = {one.id: sum(one.architecture) / 10 for one in CANDIDATES}


@pytest.fixture(scope='module', name='cluster')
def _cluster():
  with ray_cluster.cluster() as made:
    yield made


def backend_of(cluster, tmp_path, settings=None, **values):
  settings = settings or ExecutorSettings('ray', address=cluster.address)
  values['markers'] = str(tmp_path)
  return ray_place.RayBackend(settings, evaluators.NAME, values), settings


def results(pool, before=lambda: None):
  with pool:
    for candidate in CANDIDATES:
      pool.submit(candidate)
    found = []
    for number in range(len(CANDIDATES)):
      if number == 1:
        before()
      found.append(pool.next_result())
  return {one.candidate.id: one.evaluation.reward for one in found}


@pytest.mark.long
def test_there_is_a_worker_for_every_core(cluster, tmp_path):
  backend, settings = backend_of(
      cluster[0], tmp_path, seconds={str(one.id): 0.5 for one in CANDIDATES}
  )
  assert backend.wanted() == 2
  heard = Heard()
  assert results(WorkerPool(backend, settings, heard, lambda: None)) == REWARDS
  assert {line[1] for line in heard.of('began')} == {'0', '1'}


@pytest.mark.long
def test_faults_are_healed(cluster, tmp_path):
  faults = {'0': ['kill'], '2': ['preempt'], '3': ['fail', 'leave']}
  backend, settings = backend_of(cluster[0], tmp_path, faults=faults)
  heard = Heard()
  assert results(WorkerPool(backend, settings, heard, lambda: None)) == REWARDS
  assert len(heard.of('trouble')) == 4


@pytest.mark.long
def test_no_room_is_an_error(cluster, tmp_path):
  settings = ExecutorSettings('ray', address=cluster[0].address, threads=3)
  with pytest.raises(UserError, match=r"'ray': no node has room .*allowed"):
    backend_of(cluster[0], tmp_path, settings)


def test_workers_that_want_more_accelerators_get_no_cores_instead(
    tmp_path, monkeypatch
):
  monkeypatch.setattr(ray, 'is_initialized', lambda: True)
  nodes = [{'CPU': 8.0, 'GPU': 1.0}, {'CPU': 64.0}]
  monkeypatch.setattr(ray_place, '_nodes', lambda: nodes)
  one = ExecutorSettings('ray', devices=1)
  assert backend_of(None, tmp_path, one)[0].wanted() == 1
  two = ExecutorSettings('ray', devices=2)
  with pytest.raises(UserError, match=r'executor\.devices 2, .*allowed'):
    backend_of(None, tmp_path, two)


def test_workers_share_gpus_and_nothing_else(tmp_path, monkeypatch):
  monkeypatch.setattr(ray, 'is_initialized', lambda: True)
  nodes = [{'CPU': 8.0, 'GPU': 2.0}, {'CPU': 64.0}]
  monkeypatch.setattr(ray_place, '_nodes', lambda: nodes)
  settings = ExecutorSettings('ray', per_device=6)
  assert backend_of(None, tmp_path, settings)[0].wanted() == 12
  nodes[0] = {'CPU': 8.0, 'TPU': 4.0}
  with pytest.raises(UserError, match=r'per_device: 6: on tpu allowed is 1'):
    backend_of(None, tmp_path, settings)


@pytest.mark.long
def test_as_many_workers_as_share_a_gpu_run_at_once(cluster, tmp_path):
  """Ray believes in a GPU that is not there; the workers need none."""
  cluster, _ = cluster
  node = cluster.add_node(num_cpus=6, num_gpus=1)
  try:
    cluster.wait_for_nodes()
    settings = ExecutorSettings('ray', address=cluster.address, per_device=6)
    backend, _ = backend_of(cluster, tmp_path, settings)
    with backend:
      started = [backend.start(index) for index in range(backend.wanted())]
      waiting, until = set(started), time.monotonic() + 60
      while waiting and time.monotonic() < until:
        backend.wait(list(waiting), 1.0)
        waiting -= {
            one for one in waiting
            if any(said['kind'] == 'ready' for said in one.receive())
        }
      for one in started:
        one.kill()
      assert (len(started), waiting) == (6, set())
  finally:
    cluster.remove_node(node)


@pytest.mark.long
def test_a_node_leaves_and_another_one_joins(cluster, tmp_path):
  cluster, nodes = cluster
  backend, settings = backend_of(
      cluster, tmp_path, seconds={str(one.id): 0.5 for one in CANDIDATES}
  )
  heard = Heard()
  pool = WorkerPool(backend, settings, heard, lambda: None)
  found = results(pool, lambda: cluster.remove_node(nodes.pop()))
  assert found == REWARDS
  assert any('lost with its node' in line[1] for line in heard.of('trouble'))
  nodes.append(cluster.add_node(num_cpus=1))
  cluster.wait_for_nodes()
  with backend_of(cluster, tmp_path)[0] as backend:
    assert backend.wanted() == 2


@pytest.mark.long
def test_a_node_that_joins_meanwhile_gets_a_worker(cluster, tmp_path):
  cluster, nodes = cluster
  seconds = {str(number): 0.2 for number in range(500)}
  backend, settings = backend_of(cluster, tmp_path, seconds=seconds)
  heard = Heard()
  with backend, WorkerPool(backend, settings, heard, lambda: None) as pool:
    submitted = 0
    while {line[1] for line in heard.of('began')} != {'0', '1', '2'}:
      assert submitted < 500, 'nothing was given to the new node'
      while submitted - len(heard.of('stepped')) < pool.capacity:
        pool.submit(Candidate(submitted, 1, (1,), 1, 0))
        submitted += 1
      pool.next_result()
      if len(nodes) == 2:
        nodes.append(cluster.add_node(num_cpus=1))
  cluster.remove_node(nodes.pop())


def test_an_address_where_nothing_is_is_an_error(tmp_path):
  ray.shutdown()
  settings = ExecutorSettings('ray', address='localhost:1')
  with pytest.raises(UserError, match=r"address: 'localhost:1': .*allowed"):
    backend_of(None, tmp_path, settings)


def kinds(host):
  """Of what it says, up to the result or the end."""
  found = []
  while True:
    said, ended = host.receive(10.0)
    found += [one['kind'] for one in said]
    if ended or 'done' in found:
      return found, ended


def test_messages_go_through():
  host = ray_place.WorkerHost('7', {'NPROC': '1'}, evaluators.NAME, {})
  candidate = connection.candidate_to_json(Candidate(0, 1, (1,), 1, 0))
  host.send('train', {'candidate': candidate})
  assert kinds(host) == (['started', 'ready', 'step', 'done'], '')
  assert host.receive(0.0) == ([], '')
  host.terminate()
  assert kinds(host) == (['preempted'], 'ended with exit code 0')


@pytest.mark.long
def test_this_machine_alone_joins_no_cluster_that_runs_on_it(cluster, tmp_path):
  ray.shutdown()
  backend, _ = backend_of(cluster[0], tmp_path, ExecutorSettings('ray'))
  with backend:
    assert len(ray.nodes()) == 1


@pytest.fixture(name='silent')
def _silent():
  """Address of a server that takes connections and says nothing."""
  with socket.create_server(('127.0.0.1', 0)) as server:
    yield f'127.0.0.1:{server.getsockname()[1]}'


@pytest.mark.long
def test_what_is_no_head_is_told_within_seconds(silent, tmp_path):
  begun = time.monotonic()
  with pytest.raises(UserError, match=f'{silent}.*not the head of a Ray'):
    backend_of(None, tmp_path, ExecutorSettings('ray', address=silent))
  assert time.monotonic() - begun < 8


def test_an_address_of_the_environment_is_checked(tmp_path, monkeypatch):
  monkeypatch.setenv('RAY_ADDRESS', 'ray://head:10001')
  with pytest.raises(UserError, match="RAY_ADDRESS: 'ray://head:10001'"):
    backend_of(None, tmp_path, ExecutorSettings('ray', address='auto'))
