"""A process beside the host does the work."""

from layernas.executors import connection
from layernas.executors.ray_cluster import WorkerHost
from layernas.search import Candidate
from tests.executors import evaluators


def kinds(host):
  """Of what it says, up to the result or the end."""
  found = []
  while True:
    said, ended = host.receive(10.0)
    found += [one['kind'] for one in said]
    if ended or 'done' in found:
      return found, ended


def test_messages_go_through():
  host = WorkerHost('7', {'NPROC': '1'}, evaluators.NAME, {})
  candidate = connection.candidate_to_json(Candidate(0, 1, (1,), 1, 0))
  host.send('train', {'candidate': candidate})
  assert kinds(host) == (['started', 'ready', 'step', 'done'], '')
  assert host.receive(0.0) == ([], '')
  host.terminate()
  assert kinds(host) == (['preempted'], 'ended with exit code 0')
