"""The table of the fault drill, and that of the docs."""

import json

import pytest

from tests import tiny
from tools.perf.fault_drill_report import read
from tools.perf.fault_drill_report import table

_STORED = tiny.ROOT / 'docs' / 'results' / 'fault_drill' / 'drills.jsonl'


def _drill(number, fault, outcome):
  return {'drill': number, 'fault': fault, 'outcome': outcome}


def test_outcomes_are_counted_by_fault():
  shown = table([
      _drill(0, 'nan', 'went through'), _drill(1, 'nan', 'went through'),
      _drill(2, 'disk_full', 'error and resumed'),
      _drill(3, 'driver_kill', 'killed and resumed'),
      _drill(4, 'driver_kill', 'failed'),
  ])
  assert "| NaN in a candidate's images | 2 | 2 | 0 | 0 | 0 | 0 |" in shown
  assert '| the disk becomes full | 1 | 0 | 1 | 0 | 0 | 0 |' in shown
  assert '| kill -9 of the search | 2 | 0 | 0 | 0 | 1 | 1 |' in shown
  assert '| a training hangs | 0 | 0 | 0 | 0 | 0 | 0 |' in shown
  assert shown.endswith('| all | 5 | 2 | 1 | 0 | 1 | 1 |')


def test_an_unknown_fault_is_not_left_out():
  with pytest.raises(KeyError):
    table([_drill(0, 'another', 'went through')])


def test_drills_come_by_number(tmp_path):
  assert read(tmp_path / 'drills.jsonl') == []
  lines = [json.dumps(_drill(number, 'nan', '')) for number in (2, 0, 1)]
  (tmp_path / 'drills.jsonl').write_text('\n'.join(lines) + '\n')
  assert [one['drill'] for one in read(tmp_path / 'drills.jsonl')] == [0, 1, 2]


def test_the_docs_show_the_stored_drills_and_none_failed():
  drills = read(_STORED)
  assert [drill['drill'] for drill in drills] == list(range(200))
  assert 'failed' not in {drill['outcome'] for drill in drills}
  # Every error was one line.
  assert not any(drill['more_lines'] for drill in drills)
  page = (tiny.ROOT / 'docs' / 'scale.md').read_text()
  assert f'All 200 came to it:\n\n{table(drills)}\n' in page
  assert 'the 200 searches' in (tiny.ROOT / 'README.md').read_text()
