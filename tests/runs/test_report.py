"""The report of searches: what it reads in workdirs, and where it writes."""

import json
import os
import pathlib
import shutil
from typing import Any

import pytest
from etils import epath
from ml_collections import ConfigDict

from layernas.errors import UserError
from layernas.runs.report import read_search
from layernas.runs.report import write_report
from layernas.storage.workdir import Workdir
from tests import programs
from tests import tiny
from tests.fake_gcs import Bucket
from tests.page_reader import PageReader

_STATUS = {
    'trials': 6, 'earlier_trials': 0, 'bound': 12, 'steps': 20, 'page': '',
    'best': None, 'running': [], 'stop_reason': '', 'begun': 1.0,
    'written': 2.0,
}


def _searched(
    workdir: Any, config: ConfigDict | None = None, **status: object
) -> epath.Path:
  """Files that a search leaves when it is interrupted."""
  path = epath.Path(workdir)
  path.mkdir(parents=True, exist_ok=True)
  config = config or tiny.get_config()
  trials = tiny.searched().trials
  for name, content in (
      ('config.json', config.to_dict()), ('status.json', _STATUS | status),
  ):
    (path / name).write_text(json.dumps(content))
  (path / 'trials.jsonl').write_text(
      ''.join(json.dumps(trial.to_dict()) + '\n' for trial in trials)
  )
  return path


def _read(workdir: epath.Path) -> Any:
  return read_search(workdir, 'a', workdir / 'report.html')


def _result(count: int) -> str:
  return json.dumps({
      'winner': None, 'comparison': [], 'trials': {'ok': count},
      'stop_reason': 'done',
  })


@pytest.mark.long
def test_the_program_writes_the_page_of_a_search_that_was_interrupted(
    tmp_path: pathlib.Path
) -> None:
  workdir = _searched(tmp_path / 'run')
  with (workdir / 'trials.jsonl').open('a') as file:
    file.write('{"id": 6, "lay')
  done = programs.run('report', str(workdir))
  assert done.returncode == 0, done.stderr
  assert done.stdout == f'{workdir}/report.html\n'
  rows = PageReader((workdir / 'report.html').read_text()).rows
  assert 'state stopped; the same command goes on' in rows
  assert 'trials 6' in rows
  assert 'best so far 1-1-1' in rows
  assert not list(workdir.glob('*.partial'))


def test_a_search_that_is_running(tmp_path: pathlib.Path) -> None:
  workdir = _searched(tmp_path)
  directory = Workdir(tmp_path)
  directory.open(tiny.get_config())
  try:
    assert _read(workdir).state == 'running'
    assert write_report([str(workdir)]) == workdir / 'report.html'
  finally:
    directory.close()


def test_a_finished_search_has_its_result(tmp_path: pathlib.Path) -> None:
  workdir = _searched(tmp_path, stop_reason='every layer decided')
  (workdir / 'result.json').write_text(_result(6))
  found = _read(workdir)
  assert found.state == 'finished: every layer decided'
  assert found.result['stop_reason'] == 'done'
  (workdir / 'status.json').unlink()
  assert _read(workdir).state == 'finished: done'


def test_a_result_of_fewer_trials_is_none_of_a_search_that_went_on(
    tmp_path: pathlib.Path
) -> None:
  workdir = _searched(tmp_path)
  (workdir / 'result.json').write_text(_result(4))
  assert _read(workdir).result is None


def test_several_searches_in_one_page(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.chdir(tmp_path)
  for name, seed in (('x/run', 0), ('y/run', 1), ('other', 2)):
    _searched(name, tiny.changed(seed=seed))
  page = write_report(['x/run', 'y/run', 'x/run/', 'other'])
  assert os.fspath(page) == 'report.html'
  rows = PageReader(page.read_text()).rows
  # Names that are alike are told apart by their paths.
  assert 'x/run y/run other' in rows
  assert 'seed 0 1 2' in rows


def test_the_page_goes_where_it_is_told_and_links_to_the_trace(
    tmp_path: pathlib.Path
) -> None:
  workdir = _searched(tmp_path / 'runs' / 'a b#1')
  (workdir / 'trace.html').write_text('')
  page = write_report([str(workdir)], str(tmp_path / 'pages' / 'one.html'))
  assert PageReader(page.read_text()).links == [
      '../runs/a%20b%231/trace.html'
  ]
  assert not (workdir / 'report.html').exists()
  page = write_report([str(workdir)])
  assert PageReader(page.read_text()).links == ['trace.html']


def test_final_trainings_that_are_under_way(tmp_path: pathlib.Path) -> None:
  workdir = _searched(tmp_path)
  assert _read(workdir).final == []
  final = workdir / 'final'
  for seed, accuracy in ((0, 0.25), (2, 0.5), (10, 0.75)):
    folder = final / 'the_winner' / f'seed{seed}'
    folder.mkdir(parents=True)
    (folder / 'metrics.json').write_text(json.dumps({'accuracy': accuracy}))
  (final / 'networks.json').write_text('{"the winner": {}, "reference": {}}')
  assert _read(workdir).final == [
      {'name': 'the winner', 'accuracies': [0.25, 0.5, 0.75]}
  ]
  rows = [{'name': 'winner', 'accuracies': [0.5], 'mean': 0.5}]
  (final / 'final.json').write_text(json.dumps({'networks': rows}))
  assert _read(workdir).final == rows
  # Of a search under several limits.
  for limit in ('1200000', '900000.5', 'x'):
    final.rename(workdir / f'final_{limit}')
    shutil.copytree(workdir / f'final_{limit}', final)
  assert [row['name'] for row in _read(workdir).final] == [
      name + limit for limit in ('', ', limit 900,000.5', ', limit 1,200,000')
      for name in (row['name'] for row in rows)
  ]


def test_a_space_that_is_not_at_hand(tmp_path: pathlib.Path) -> None:
  workdir = _searched(tmp_path, tiny.changed(space='nowhere_at_all:space'))
  found = _read(workdir)
  assert found.space is None
  assert 'nowhere_at_all' in found.lacking
  assert 'The space is not at hand' in write_report([workdir]).read_text()


def test_a_workdir_of_an_older_version(tmp_path: pathlib.Path) -> None:
  workdir = _searched(tmp_path)
  fields = json.loads((workdir / 'config.json').read_text())
  del fields['early_stop'], fields['reward']
  (workdir / 'config.json').write_text(json.dumps(fields))
  config = _read(workdir).config
  assert config['early_stop']['fraction'] == 0
  assert config['reward'] == 'accuracy'


def test_the_page_of_a_search_in_a_bucket(bucket: Bucket) -> None:
  workdir = _searched(f'{bucket.url}/run')
  (workdir / 'trace.html').write_text('')
  page = write_report([f'{bucket.url}/run'])
  assert os.fspath(page) == f'{bucket.url}/run/report.html'
  text = bucket.objects['run/report.html'].decode()
  assert PageReader(text).links == ['trace.html']


def test_a_folder_without_a_search_is_one_line(tmp_path: pathlib.Path) -> None:
  (tmp_path / 'config.json').write_text('{}')
  done = programs.run('report', str(tmp_path))
  assert done.returncode == 2
  assert done.stderr == (
      f'error: workdir {tmp_path}: has no trials.jsonl; allowed is the workdir'
      ' of a search\n'
  )
  assert [path.name for path in tmp_path.iterdir()] == ['config.json']


def test_damaged_files_are_one_line(tmp_path: pathlib.Path) -> None:
  workdir = _searched(tmp_path)
  (workdir / 'config.json').write_text('{"seed"')
  with pytest.raises(UserError, match='config'):
    write_report([str(workdir)])
  (workdir / 'config.json').write_text('[]')
  with pytest.raises(UserError, match='holds no config'):
    write_report([str(workdir)])
  _searched(tmp_path)
  (workdir / 'result.json').write_text('{"winner": 3}')
  with pytest.raises(UserError, match=r'result\.json: is damaged'):
    write_report([str(workdir)])
  (workdir / 'result.json').write_text('[]')
  with pytest.raises(UserError, match='a list; allowed is a JSON object'):
    write_report([str(workdir)])


def test_a_page_that_cannot_be_written_is_one_line(
    tmp_path: pathlib.Path
) -> None:
  workdir = _searched(tmp_path / 'run')
  with pytest.raises(UserError, match='a directory; allowed is a file'):
    write_report([str(workdir)], str(tmp_path))
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='file'):
    write_report([str(workdir)], str(tmp_path / 'file' / 'page.html'))
