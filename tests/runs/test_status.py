"""What another terminal sees of a search."""

import io
import json
import pathlib
import time

import pytest
from etils import epath
from rich.console import Console

from layernas.runs.status import read_status
from layernas.runs.status import show_status
from layernas.storage.workdir import Workdir
from tests import tiny

_STATUS = {
    'trials': 6, 'earlier_trials': 2, 'bound': 12, 'steps': 20, 'page': '',
    'best': {'reward': 0.5, 'architecture': '0-1', 'id': 3},
    'running': [{'trial': 6, 'architecture': '1-1', 'worker': '0', 'step': 5,
                 'since': 1090.0}],
    'stop_reason': '', 'begun': 1000.0, 'written': 1100.0,
}


def _write(workdir: pathlib.Path, **fields: object) -> None:
  (workdir / 'status.json').write_text(json.dumps(_STATUS | fields))


def _shown(workdir: pathlib.Path) -> str:
  console = Console(file=io.StringIO(), width=100)
  show_status(workdir, console=console)
  return console.file.getvalue()


def test_a_running_search(tmp_path: pathlib.Path) -> None:
  directory = Workdir(tmp_path)
  directory.open(tiny.get_config())
  _write(tmp_path, page='http://127.0.0.1:8265')
  text = _shown(tmp_path)
  directory.close()
  for part in ('running', '6 of at most 12', '0.5000  0-1, trial 4', '7 ',
               '5/20', '0:00:10', ':8265'):
    assert part in text
  # Four trials in 100 s, six to go.
  assert 'at most 0:02:30' in text


def test_a_stopped_search_has_no_workers(tmp_path: pathlib.Path) -> None:
  _write(tmp_path)
  text = _shown(tmp_path)
  assert 'stopped; the same command goes on' in text
  assert '5/20' not in text


def test_a_finished_search(tmp_path: pathlib.Path) -> None:
  _write(tmp_path, running=[], stop_reason='every layer decided', best=None)
  text = _shown(tmp_path)
  assert 'finished: every layer decided' in text
  assert 'none in the target' in text


def test_in_a_bucket_the_time_of_the_file_tells(bucket: object) -> None:
  workdir = epath.Path(f'{bucket.url}/run')
  for age, state in ((10.0, 'running'), (1000.0, 'stopped')):
    fields = _STATUS | {'written': time.time() - age}
    (workdir / 'status.json').write_text(json.dumps(fields))
    assert read_status(workdir)[0] == state


@pytest.mark.parametrize(('arguments', 'part'), [
    ((), 'argument WORKDIR: missing'),
    (('a', 'b'), "argument 'b': allowed are WORKDIR and flags"),
    (('nowhere',), 'workdir nowhere: has no status.json; allowed'),
])
def test_the_program_takes_one_workdir(arguments: tuple, part: str) -> None:
  done = tiny.run_program('status', *arguments)
  assert done.returncode == 2
  assert part in done.stderr


def test_the_program_shows_it(tmp_path: pathlib.Path) -> None:
  _write(tmp_path)
  done = tiny.run_program('status', str(tmp_path))
  assert done.returncode == 0
  assert '6 of at most 12' in done.stdout
