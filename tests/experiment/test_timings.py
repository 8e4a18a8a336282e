"""Where the wall time of each trial went."""

import json
import pathlib

from layernas.storage.history import Timings


def test_lines_and_their_sum(tmp_path: pathlib.Path) -> None:
  timings = Timings(tmp_path)
  assert timings.total() == {}
  timings.append(0, {'compile': 1.00004, 'train': 2.5})
  timings.append(1, {'compile': 0.0, 'train': 3.5})
  assert timings.total() == {'compile': 1.0, 'train': 6.0}
  timings.close()
  lines = (tmp_path / 'timings.jsonl').read_text().splitlines()
  assert json.loads(lines[0]) == {'id': 0, 'compile': 1.0, 'train': 2.5}
  again = Timings(tmp_path)
  again.append(2, {'compile': 0.5, 'train': 1.0})
  assert again.total() == {'compile': 1.5, 'train': 7.0}


def test_a_line_that_a_kill_cut_short_is_dropped(
    tmp_path: pathlib.Path
) -> None:
  Timings(tmp_path).append(0, {'train': 2.0})
  path = tmp_path / 'timings.jsonl'
  with path.open('a') as file:
    file.write('{"id": 1, "tra')
  timings = Timings(tmp_path)
  assert timings.total() == {'train': 2.0}
  timings.append(1, {'train': 3.0})
  assert timings.total() == {'train': 5.0}
  assert len(path.read_text().splitlines()) == 2
