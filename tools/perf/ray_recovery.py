"""Measures how soon a Ray cluster recovers the candidate of a lost node.

  .venv/bin/python tools/perf/ray_recovery.py

The cluster is a real one on this machine: a head and two nodes of one core,
with health checks four times a second. Candidates take half a second. The
program removes a node while its worker has a candidate, and measures the time
until the other node has that candidate's result. Then another node joins, and
the next round begins.
"""

import json
import os
import pathlib
import statistics
import time
from typing import Any

import ray
from absl import flags
from ray.cluster_utils import Cluster

from layernas.executors.executor import ExecutorSettings
from layernas.executors.pool import WorkerPool
from layernas.executors.ray_cluster import RayBackend
from layernas.runs import cli
from layernas.search import Candidate
from tools.perf.executors import NAME
from tools.perf.executors import Deaf
from tools.perf.machine import machine

_OUTPUT = cli.define_path(
    'output', 'Where the result is written.',
    default='docs/results/executors',
)
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'Number of lost nodes.', 1)

HEALTH_CHECKS = {
    'RAY_health_check_period_ms': '250',
    'RAY_health_check_timeout_ms': '500',
    'RAY_health_check_failure_threshold': '3',
}
_CANDIDATE_SECONDS = 0.5


def main() -> None:
  """Measures and writes ray_recovery.json."""
  os.environ.update(HEALTH_CHECKS)
  cluster = Cluster(True, head_node_args={
      'num_cpus': 0, 'include_dashboard': False,
  })
  nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
  settings = ExecutorSettings('ray', address=cluster.address)
  backend = RayBackend(settings, NAME, {'seconds': _CANDIDATE_SECONDS})
  listener = _Listener()
  with WorkerPool(backend, settings, listener, lambda: None) as pool:
    seconds = [
        _lost(cluster, nodes, pool, listener) for _ in range(_ROUNDS.value)
    ]
  ray.shutdown()
  cluster.shutdown()
  found = {
      'seconds': seconds, 'median': statistics.median(seconds),
      'health_checks': HEALTH_CHECKS, 'ray': ray.__version__,
      'machine': machine(),
  }
  text = json.dumps(found, indent=1)
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  (output / 'ray_recovery.json').write_text(text + '\n')
  print(text)


class _Listener(Deaf):
  """Notes which candidates began on which worker, and which were lost."""

  def __init__(self) -> None:
    self.running: dict[int, str] = {}
    self.lost: set[int] = set()

  def began(self, candidate: Candidate, worker: str) -> None:
    """Notes it."""
    self.running[candidate.id] = worker

  def trouble(self, candidate: Candidate | None, message: str) -> None:
    """Notes a candidate whose node is lost."""
    if candidate and 'lost with its node' in message:
      self.lost.add(candidate.id)


def _lost(
    cluster: Cluster, nodes: list[Any], pool: WorkerPool, listener: _Listener
) -> float:
  """Seconds until a lost candidate has a result; restores the cluster."""
  listener.running.clear()
  listener.lost.clear()
  submitted = 0
  begun, waiting = 0.0, set()
  while not begun or not listener.lost or waiting & listener.lost:
    while len(waiting) < 4:
      pool.submit(Candidate(submitted, 1, (0,), 1, 0))
      waiting.add(submitted)
      submitted += 1
    waiting.discard(pool.next_result().candidate.id)
    if not begun and len(set(listener.running.values())) == 2:
      cluster.remove_node(nodes.pop())
      begun = time.monotonic()
  seconds = time.monotonic() - begun
  for _ in waiting:
    pool.next_result()
  nodes.append(cluster.add_node(num_cpus=1))
  cluster.wait_for_nodes()
  return round(seconds, 2)


if __name__ == '__main__':
  cli.run(main)
