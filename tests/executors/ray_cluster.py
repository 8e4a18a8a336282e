"""A real Ray cluster of a head and two nodes of one core each, here."""

import contextlib

import pytest

# A lost node is noticed in a second instead of half a minute.
_FAST = {
    'RAY_health_check_period_ms': '200',
    'RAY_health_check_timeout_ms': '500',
    'RAY_health_check_failure_threshold': '3',
}


@contextlib.contextmanager
def cluster():
  """Gives the cluster and its nodes."""
  import ray
  from ray.cluster_utils import Cluster

  with pytest.MonkeyPatch.context() as patch:
    for name, value in _FAST.items():
      patch.setenv(name, value)
    made = Cluster(True, head_node_args={
        'num_cpus': 0, 'include_dashboard': False,
    })
    try:
      yield made, [made.add_node(num_cpus=1) for _ in range(2)]
    finally:
      ray.shutdown()
      made.shutdown()
