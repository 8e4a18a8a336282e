"""What is drawn for drills."""

import collections

from tools.perf.drill import drawn
from tools.perf.fault_drill_report import FAULTS

_ALL = tuple(FAULTS)


def test_faults_come_in_turn_and_again_the_same():
  drills = [drawn(number, 3, _ALL) for number in range(60)]
  assert drills == [drawn(number, 3, _ALL) for number in range(60)]
  counts = collections.Counter(drill.fault for drill in drills)
  assert set(counts.values()) == {5}
  for drill in drills:
    if drill.fault in ('worker_kill', 'worker_term', 'hang', 'memory'):
      assert drill.executor == 'processes'
  assert {drill.executor for drill in drills} == {'inline', 'processes'}
  assert len({drill.moment for drill in drills}) == 60
