"""What a search writes to status.json, and what another terminal sees of it."""

import io
import json
import pathlib
import time

import pytest
from etils import epath
from rich.console import Console

from layernas.errors import UserError
from layernas.reports.hooks import Training
from layernas.runs import status as status_module
from layernas.runs.status import LiveStatus
from layernas.runs.status import read_status
from layernas.runs.status import show_status
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search.sweep import Sweep
from layernas.storage.workdir import Workdir
from tests import programs
from tests import tiny
from tests.search import problems

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
  for part in ('running', '6 of at most 12', '0.5000  0-1, trial 3', '6 ',
               '5/20', '0:00:10', ':8265'):
    assert part in text
  # Four trials in 100 s, six to go.
  assert 'at most 0:02:30' in text


def test_a_bound_that_no_search_reaches_has_no_eta(
    tmp_path: pathlib.Path
) -> None:
  directory = Workdir(tmp_path)
  directory.open(tiny.get_config())
  # As of a sweep whose buckets are to be without number.
  _write(tmp_path, bound=10**15)
  text = _shown(tmp_path)
  directory.close()
  assert 'more than a century' in text


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


def test_the_program_shows_it(tmp_path: pathlib.Path) -> None:
  _write(tmp_path)
  done = programs.run('status', str(tmp_path))
  assert done.returncode == 0
  assert '6 of at most 12' in done.stdout


@pytest.fixture(name='search')
def _search() -> Search:
  return Search(problems.make_problem([(1, 2), (1, 2)]), Sweep())


def _training(candidate: Candidate) -> Training:
  return Training(f'trials/{candidate.id}', '', 9, candidate)


def _status(tmp_path: pathlib.Path) -> dict[str, object]:
  return json.loads((tmp_path / 'status.json').read_text())


def test_it_follows_a_candidate(
    tmp_path: pathlib.Path, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(status_module, '_LOCAL_SECONDS', 0.0)
  status = LiveStatus(Workdir(tmp_path))
  status.before_search(search, 9, 'http://page')
  assert _status(tmp_path)['running'] == []
  first, second = search.ask(2)
  status.before_training(_training(first), '0')
  status.before_training(_training(second), '1')
  status.after_step(_training(second), 4, {})
  [one, other] = _status(tmp_path)['running']
  assert (one['trial'], one['worker'], one['step']) == (0, '0', 0)
  assert (other['architecture'], other['step']) == ('1-0', 4)
  search.tell(first.id, Evaluation(0.5))
  status.after_training(_training(first))
  found = _status(tmp_path)
  assert [one['trial'] for one in found['running']] == [1]
  assert (found['trials'], found['best']['reward']) == (1, 0.5)
  assert (found['bound'], found['page']) == (400, 'http://page')


def test_it_is_not_written_at_every_step(
    tmp_path: pathlib.Path, search: Search
) -> None:
  status = LiveStatus(Workdir(tmp_path))
  status.close()
  assert not (tmp_path / 'status.json').exists()
  status.before_search(search, 9, '')
  status.before_training(_training(*search.ask()), '')
  assert _status(tmp_path)['running'] == []
  status.close()
  assert len(_status(tmp_path)['running']) == 1


@pytest.mark.parametrize('content', [
    '[]', '{"stop_reason": ""}',
    '{"stop_reason": "", "running": [], "written": "today"}',
])
def test_a_damaged_status_is_one_line(
    tmp_path: pathlib.Path, content: str
) -> None:
  (tmp_path / 'status.json').write_text(content)
  with pytest.raises(UserError, match=r'status\.json: is damaged: .*; allowed'):
    show_status(tmp_path)
