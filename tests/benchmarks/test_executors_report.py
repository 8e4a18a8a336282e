"""The tables of executors say what was measured."""

import json

from tools.perf import executors_report

_OVERHEAD = {'milliseconds': {'inline': [0.01, 0.03, 0.02], 'ray': [2, 4, 9]}}
_SPEEDUP = {
    'trials': 26,
    'seconds': {'inline': [18.0, 20.0, 19.0], 'processes': [10.0, 10.0, 9.5]},
}
_MEMORY = {
    'after': [10, 20, 30, 300], 'driver_mib': [90, 95, 100, 110],
    'worker_mib': [900, 950, 1000, 1150],
}


def test_medians_and_ranges():
  table = executors_report.overhead(_OVERHEAD)
  assert '| inline | 0.020 | 0.010 to 0.030 |' in table
  assert '| ray | 4.000 | 2.000 to 9.000 |' in table


def test_the_ratio_is_taken_round_by_round():
  table = executors_report.speedup(_SPEEDUP)
  assert '| search of 26 trials | seconds | rounds |' in table
  # 1.8, 2.0 and 2.0.
  assert '| inline / processes | 2.00 | 1.80 to 2.00 |' in table


def test_memory_is_compared_early_and_late():
  table = executors_report.memory(_MEMORY)
  assert '| driver | 100 | 110 | 1.10 |' in table
  assert '| worker | 1,000 | 1,150 | 1.15 |' in table


def test_a_report_has_what_is_stored(tmp_path):
  (tmp_path / 'memory.json').write_text(json.dumps(_MEMORY))
  assert executors_report.report(tmp_path) == executors_report.memory(_MEMORY)
