"""status.json says what a search is at, without being written all the time."""

import json
import pathlib

import pytest

from layernas.runs import status as live_status
from layernas.runs.status import LiveStatus
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search.sweep import Sweep
from layernas.storage.workdir import Workdir
from tests.search import problems


@pytest.fixture(name='search')
def _search() -> Search:
  return Search(problems.make_problem([(1, 2), (1, 2)]), Sweep())


def _read(tmp_path: pathlib.Path) -> dict[str, object]:
  return json.loads((tmp_path / 'status.json').read_text())


def test_it_follows_a_candidate(
    tmp_path: pathlib.Path, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(live_status, '_LOCAL_SECONDS', 0.0)
  status = LiveStatus(Workdir(tmp_path), search, 9)
  assert _read(tmp_path)['running'] == []
  first, second = search.ask(2)
  status.began(first, '0')
  status.began(second, '1')
  status.stepped(second, 4)
  [one, other] = _read(tmp_path)['running']
  assert (one['trial'], one['worker'], one['step']) == (0, '0', 0)
  assert (other['architecture'], other['step']) == ('1-0', 4)
  search.tell(first.id, Evaluation(0.5))
  status.evaluated(first)
  found = _read(tmp_path)
  assert [one['trial'] for one in found['running']] == [1]
  assert (found['trials'], found['best']['reward']) == (1, 0.5)
  assert found['bound'] == 400


def test_it_is_not_written_at_every_step(
    tmp_path: pathlib.Path, search: Search
) -> None:
  status = LiveStatus(Workdir(tmp_path), search, 9)
  status.began(*search.ask(), '')
  assert _read(tmp_path)['running'] == []
  status.write()
  assert len(_read(tmp_path)['running']) == 1
