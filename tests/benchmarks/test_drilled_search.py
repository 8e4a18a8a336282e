"""Searches of the drill as processes."""

import json
import sys

import pytest

from tools.perf import drilled_search
from tools.perf.drilled_search import SearchProcess


def process(tmp_path, program):
  return SearchProcess([sys.executable, '-c', program], tmp_path, {})


@pytest.mark.parametrize(('errors', 'clear'), [
    ('error: workdir W: No space left on device\\n', True),
    ('W1125 00:40:21.1 7 x.py:3] odd\\nerror: workdir W: full\\n', True),
    ('Traceback (most recent call last):\\nOSError: full\\n', False),
    ('of a library\\nerror: full\\n', True),
    ('error: full\\nerror: fuller\\n', False),
    ('error: full\\nTraceback\\n', False),
    ('', False),
])
def test_an_error_is_the_last_line(tmp_path, errors, clear):
  search = process(tmp_path, f'import sys; sys.stderr.write({errors!r})'
                   .replace('\\\\n', '\\n'))
  search.wait()
  assert (search.unclear() == '') is clear


def test_it_is_open_with_its_first_lines(tmp_path):
  search = process(
      tmp_path, 'import time; print("bound: 5", flush=True); time.sleep(60)'
  )
  assert search.wait_until_open()
  assert search.wait(0.01)
  search.process.kill()
  search.wait()
  assert not search.alive
  assert not process(tmp_path, '').wait_until_open()


def test_a_search_without_end_is_ended(tmp_path, monkeypatch):
  monkeypatch.setattr(drilled_search, '_LONGEST', 0.1)
  search = process(tmp_path, 'import time; time.sleep(60)')
  with pytest.raises(TimeoutError):
    search.wait(60)
  assert search.process.returncode


def test_executors_differ_in_nothing_that_counts():
  inline = drilled_search.command('w', 'inline')
  processes = drilled_search.command('w', 'processes', True, True)
  assert set(inline) - set(processes) == {
      str(drilled_search.ROOT / 'experiments' / 'search.py'),
      '--config.executor.name=inline',
  }
  assert '--config.executor.threads=1' in inline


def test_times_and_config_do_not_count(tmp_path):
  assert not drilled_search.finished(tmp_path)
  outcomes = []
  for seconds in (1, 2):
    (tmp_path / 'trials.jsonl').write_text(
        json.dumps({'id': 0, 'reward': 0.5, 'seconds': seconds}) + '\n'
    )
    (tmp_path / 'result.json').write_text(
        json.dumps({'winner': 'x', 'seconds': seconds, 'config': seconds})
    )
    for name in ('tables.json', 'trace.json'):
      (tmp_path / name).write_text('{}')
    outcomes.append(drilled_search.outcome(tmp_path))
  assert drilled_search.finished(tmp_path)
  assert outcomes[0] == outcomes[1]
  assert outcomes[0]['trials'] == [{'id': 0, 'reward': 0.5}]
