"""What is kept of simulated runs."""

import pytest

from tools.perf.workers_cases import CASES
from tools.perf.workers_cases import Times
from tools.perf.workers_runs import case_runs


@pytest.mark.parametrize(('name', 'overlaps'), [
    ('imagenet_v3_large_220m: sweep, H = 5', ['none', 'certain', 'leading']),
    ('imagenet_v3_large_220m: interleaved, 8 x 8', ['none']),
])
def test_figures(name, overlaps):
  case = case_runs(CASES[name], Times(), [1, 64])
  assert list(case['runs']) == overlaps
  for runs in case['runs'].values():
    assert list(runs) == ['1', '64']
    assert runs['1']['speed_up'] == 1
    run = runs['64']
    assert run['speed_up'] == pytest.approx(
        runs['1']['makespan'] / run['makespan'], abs=1e-3
    )
    assert run['efficiency'] == pytest.approx(run['speed_up'] / 64, abs=1e-3)
    idle = run['spare'] + run['barriers'] + run['tail']
    parts = run['training'] + run['starting'] + run['wasted'] + idle
    assert parts == pytest.approx(1, abs=1e-3)
    assert sum(run['idle_by_layer'].values()) == pytest.approx(idle, abs=3e-3)
  assert 1 < case['runs']['none']['64']['speed_up'] < (
      case['runs']['none']['64']['bound']
  ) < 64
