"""Paths as people type them."""

import json
import os
import pathlib

import pytest

from layernas.data.image_folder import list_images
from layernas.errors import UserError
from layernas.networks.latency import read_latency_table
from layernas.paths import expanded
from layernas.runs.final import read_architecture
from layernas.study.setup import make_benchmark
from tests import programs
from tests import tiny


@pytest.fixture
def home(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> pathlib.Path:
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setenv('RUNS', 'a b')
  monkeypatch.setenv('BUCKET', 'mine')
  monkeypatch.delenv('NOTHING', raising=False)
  return tmp_path


@pytest.mark.parametrize(('text', 'path'), [
    ('~', 'HOME'),
    ('~/runs/a', 'HOME/runs/a'),
    ('~root/a', '/root/a'),
    ('$HOME/a', 'HOME/a'),
    ('${HOME}/$RUNS/', 'HOME/a b'),
    ('"~/a"', 'HOME/a'),
    (" 'a b/' ", 'a b'),
    ('a//', 'a'),
    ('/', '/'),
    ('', ''),
    ('a/~/b', 'a/~/b'),
    ('./~', './~'),
    ('a$', 'a$'),
    ('file:///a/b%20c', '/a/b c'),
    ('file://localhost/a', '/a'),
    ('gs://$BUCKET/a/', 'gs://mine/a'),
    ('gs://', 'gs://'),
    ('../a', '../a'),
])
def test_what_paths_mean(home: pathlib.Path, text: str, path: str) -> None:
  assert expanded('flag --workdir', text) == path.replace('HOME', str(home))


@pytest.mark.parametrize(('text', 'part'), [
    ('$NOTHING/a', 'variable NOTHING is not set'),
    ('gs://${NOTHING}/a', 'variable NOTHING is not set'),
    ('~nobody-of-that-name/a', 'no home directory'),
    ('file://other/a', 'file:///PATH on this machine'),
])
@pytest.mark.usefixtures('home')
def test_what_paths_cannot_mean(text: str, part: str) -> None:
  with pytest.raises(UserError, match='flag --workdir: ') as error:
    expanded('flag --workdir', text)
  assert part in str(error.value)
  assert repr(text) in str(error.value)


def test_bytes_that_are_no_text() -> None:
  """Nothing that is recorded could name such a path."""
  path = os.fsdecode(b'/tmp/\xff/\xc3\xa4')
  with pytest.raises(UserError) as error:
    expanded('flag --workdir', path)
  assert str(error.value) == (
      "flag --workdir: '/tmp/\ufffd/\xe4': holds bytes that are no UTF-8;"
      ' allowed are paths that are text'
  )
  assert expanded('flag --workdir', '/tmp/\xe4') == '/tmp/\xe4'


@pytest.mark.usefixtures('home')
def test_a_file_with_a_dollar_in_its_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  (tmp_path / '$NOTHING').touch()
  monkeypatch.chdir(tmp_path)
  assert expanded('here', '$NOTHING') == '$NOTHING'


def test_files_of_fields_and_flags(home: pathlib.Path) -> None:
  """Each is found in the home directory, or named by the error there."""
  tiny.result_file(home)
  assert read_architecture('~/result.json').name == 'winner'
  (home / 't.csv').write_text('key,ms\na,1\n')
  with pytest.raises(UserError, match=f'file {home}/t.csv, line 1'):
    read_latency_table('$HOME/t.csv')
  with pytest.raises(UserError, match=f"data.directory: '{home}/images'"):
    list_images('~/images')
  from configs.study import own_table

  section = own_table.get_config().benchmarks.own
  section.table.file = '~/t.csv'
  with pytest.raises(UserError, match=f'file {home}/t.csv, line 1'):
    make_benchmark('own', section)


@pytest.mark.long
def test_a_study_in_the_home_directory(home: pathlib.Path) -> None:
  (home / 't.csv').write_text(
      (tiny.ROOT / 'examples/own_table.csv').read_text()
  )
  done = programs.run(
      'benchmark', '--config=configs/study/own_table.py:smoke',
      '--config.benchmarks.own.table.file=~/t.csv', '--workdir=~/runs/a',
      '--config.seeds=1', '--config.workers=1',
  )
  assert done.returncode == 0, done.stderr
  assert json.loads((home / 'runs/a/summary.json').read_text())['sections']
  done = programs.run('status', '~/runs/b')
  assert f'{home}/runs/b' in done.stderr
