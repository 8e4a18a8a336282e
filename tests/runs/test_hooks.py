"""What is written and shown is what the search did."""

import json
import pathlib

import pytest

from layernas.executors.executor import ExecutorSettings
from layernas.reports.result import search_result
from layernas.runs.search_record import NoRecord
from layernas.runs.search_record import SearchRecord
from layernas.runs.setup import make_problem
from layernas.runs.setup import make_search
from layernas.search import Evaluation
from tests import tiny


def _play(record: NoRecord, opened: bool) -> None:
  """A whole search with made-up rewards."""
  config = tiny.get_config()
  search = make_search(config, make_problem(config, tiny.space(), 16, 10))
  with record:
    if opened:
      assert record.open(config, ExecutorSettings()) == []
    record.begin(search, steps=3)
    while candidates := search.ask():
      record.began(candidates[0], '')
      metrics = {'train_loss': 1.0, 'train_accuracy': 0.5}
      record.stepped(candidates[0], 3, metrics)
      record.trouble(candidates[0], 'lost')
      record.evaluated(candidates[0])
      search.tell(candidates[0].id, Evaluation(candidates[0].id / 10, 1.0))
      record.finished(search.trials[-1])
      record.timed(candidates[0], {'compile': 1.0, 'train': 3.0})


def test_trials_are_there_when_it_is_opened_again(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
  _play(SearchRecord(tmp_path), opened=True)
  lines = (tmp_path / 'trials.jsonl').read_text().splitlines()
  printed = capsys.readouterr().out
  assert f'trial {len(lines)}/' in printed
  assert 'trial 1: lost; tried again' in printed
  assert (tmp_path / 'tables.json').exists()
  with SearchRecord(tmp_path) as again:
    assert again.open(
        tiny.get_config(), ExecutorSettings()
    ) == list(map(json.loads, lines))


def test_finishing_tells_where_the_time_went(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
  config = tiny.get_config()
  search = make_search(config, make_problem(config, tiny.space(), 16, 10))
  result = search_result(search, tiny.space(), config, 16, 10)
  with SearchRecord(tmp_path) as record:
    record.open(config, ExecutorSettings())
    record.begin(search, steps=3)
    for candidate in search.ask(2):
      record.timed(candidate, {'compile': 1.0, 'train': 3.0})
    record.finish(result, None)
  assert 'waiting for compilation: 25.0% of 8 s' in capsys.readouterr().out
  assert len((tmp_path / 'timings.jsonl').read_text().splitlines()) == 2


def test_no_record_writes_and_shows_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
  monkeypatch.chdir(tmp_path)
  _play(NoRecord(), opened=False)
  assert capsys.readouterr() == ('', '')
  assert not list(tmp_path.iterdir())
