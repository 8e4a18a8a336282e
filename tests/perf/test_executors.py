"""The tables of executors and of early stop."""

import json

from tools.perf import early_stop
from tools.perf import executors

_MEMORY = {
    'after': [10, 20, 30, 300], 'driver_mib': [90, 95, 100, 110],
    'worker_mib': [900, 950, 1000, 1150],
}


def test_overhead_has_medians_and_ranges():
  table = executors.overhead({
      'milliseconds': {'inline': [0.01, 0.03, 0.02], 'ray': [2, 4, 9]}
  })
  assert '| inline | 0.020 | 0.010 to 0.030 |' in table
  assert '| ray | 4.000 | 2.000 to 9.000 |' in table


def test_the_speed_up_is_taken_round_by_round():
  table = executors.speedup({'trials': 26, 'seconds': {
      'inline': [18.0, 20.0, 19.0], 'processes': [10.0, 10.0, 9.5],
  }})
  assert '| search of 26 trials | seconds | rounds |' in table
  # 1.8, 2.0 and 2.0.
  assert '| inline / processes | 2.00 | 1.80 to 2.00 |' in table


def test_memory_is_compared_early_and_late(tmp_path):
  table = executors.memory(_MEMORY)
  assert '| driver | 100 | 110 | 1.10 |' in table
  assert '| worker | 1,000 | 1,150 | 1.15 |' in table
  # A report has what is stored.
  (tmp_path / 'memory.json').write_text(json.dumps(_MEMORY))
  assert executors.report(tmp_path) == table


def test_memory_after_counts_that_a_look_has_missed():
  missed = _MEMORY | {'after': [
      {executors.EARLY: 31, executors.LATE: 301}.get(count, count)
      for count in _MEMORY['after']
  ]}
  assert executors.memory(missed) == executors.memory(_MEMORY).replace(
      f'after {executors.EARLY} ', 'after 31 '
  ).replace(f'after {executors.LATE} ', 'after 301 ')


def test_memory_of_fewer_networks_is_compared_with_the_last():
  fewer = {
      name: values[:-1] if isinstance(values, list) else values
      for name, values in _MEMORY.items()
  }
  assert f'after {fewer["after"][-1]} ' in executors.memory(fewer)


def test_early_stop_is_compared_with_the_search_without():
  one = {'trials': 24, 'stopped': 0, 'seconds_in_trials': 70.0,
         'wall_seconds': 80.0, 'winner': 'a', 'reward': 0.5, 'cost': 1234}
  lines = early_stop.table({
      '0,0,0': one,
      '0,0.5,0': one | {'stopped': 9, 'wall_seconds': 60.0, 'winner': None,
                        'reward': None, 'cost': None},
      '0,0.5,0.1': one,
  }).splitlines()
  assert lines[2:] == [
      '| 0 | off | - | 24 | 0 | 70.0 | 1.00 | 0.5000 | 1,234 | - |',
      '| 0 | 0.5 | 0 | 24 | 9 | 70.0 | 0.75 | - | - | no |',
      '| 0 | 0.5 | 0.1 | 24 | 0 | 70.0 | 1.00 | 0.5000 | 1,234 | yes |',
  ]
