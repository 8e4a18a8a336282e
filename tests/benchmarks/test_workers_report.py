"""Tables and picture of simulated workers."""

import pytest
from PIL import Image

from tools.perf.workers_report import save_plot
from tools.perf.workers_report import tables


def _run(speed_up):
  return {
      'speed_up': speed_up, 'efficiency': 0.5, 'bound': 60.04,
      'barriers': 0.1234, 'spare': 0.02, 'tail': 0.001, 'wasted': 0.0567,
      'idle_by_layer': {'1': 0.1, '2': 0.04},
  }


@pytest.fixture
def results():
  def case(schedule, *overlaps):
    runs = {
        overlap: {
            str(workers): _run(workers - place) for workers in (4, 16, 64, 256)
        }
        for place, overlap in enumerate(overlaps)
    }
    return {
        'config': 'imagenet_v3_large_220m', 'schedule': schedule,
        'candidates': 1234, 'generations': 21, 'runs': runs,
    }
  return {'cases': {
      'a': case('sweep, H = 5', 'none', 'certain', 'leading'),
      'b': case('interleaved, 8 x 8', 'none'),
  }}


def test_tables(results):
  first, second = (table.splitlines() for table in tables(results))
  assert first[2:] == [
      f'| v3_large_220m, {schedule} | 1,234 | 21 | 4.0 | 16.0 | 64.0 | 256.0 |'
      ' 12.3 % | 2.0 % | 0.1 % | 60.0 |'
      for schedule in ('sweep, H = 5', 'interleaved, 8 x 8')
  ]
  assert second[2:] == [
      '| v3_large_220m, sweep, H = 5 | 16.0 | 15.0 | 14.0 | 5.7 % |'
      ' 64.0 | 63.0 | 62.0 | 5.7 % | 256.0 | 255.0 | 254.0 | 5.7 % |'
  ]
  assert {row.count('|') for row in first} == {12}
  assert {row.count('|') for row in second} == {14}


def test_picture_has_lines_of_every_kind(results, tmp_path):
  sizes = []
  for overlap in ('leading', 'certain'):
    save_plot(results, tmp_path / 'workers.png')
    with Image.open(tmp_path / 'workers.png') as picture:
      sizes.append((picture.size, picture.tobytes()))
    for run in results['cases']['a']['runs'][overlap].values():
      run['efficiency'] = 0.9
  assert sizes[0][0] == (1100, 900)
  assert sizes[0][1] != sizes[1][1]
