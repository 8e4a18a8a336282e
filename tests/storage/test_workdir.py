"""Config check, lock and atomic files of a workdir."""

import errno
import json
import os
import pathlib
import shutil

import pytest

from layernas.errors import UserError
from layernas.storage.storage_errors import StorageError
from layernas.storage.workdir import Workdir
from layernas.storage.workdir import read_json
from tests import tiny


def _config(**changes: object):
  config = tiny.get_config()
  with config.unlocked():
    config.update_from_flattened_dict(changes)
  return config


def test_open_records_the_config(tmp_path: pathlib.Path) -> None:
  workdir = Workdir(tmp_path / 'a')
  workdir.open(_config())
  recorded = json.loads((tmp_path / 'a' / 'config.json').read_text())
  assert recorded['search']['buckets'] == 2
  workdir.close()


def _refused(path: str | pathlib.Path) -> str:
  """The line that a directory is refused with, by both ways to open it."""
  with pytest.raises(UserError) as error:
    Workdir(path).open(_config())
  line = str(error.value)
  with pytest.raises(UserError) as error, Workdir(path).opened(_config()):
    raise AssertionError('was opened')
  assert str(error.value) == line
  assert '\n' not in line
  assert 'gone' not in line
  return line


def test_what_can_be_no_directory_is_refused_in_one_line(
    tmp_path: pathlib.Path
) -> None:
  (tmp_path / 'file').write_text('')
  (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
  assert _refused(tmp_path / 'file').endswith('/file: allowed is a directory')
  for path, why in (
      (tmp_path / 'file' / 'below', 'Not a directory'),
      (tmp_path / ('x' * 300), 'File name too long'),
      (tmp_path / ('x' * 300) / 'below', 'File name too long'),
      ('/proc/run', 'No such file or directory'),
      ('/proc/run/below', 'No such file or directory'),
      (tmp_path / 'loop' / 'a', 'symbolic links'),
      (f'{tmp_path}/a\0b', 'null'),
  ):
    line = _refused(path)
    assert line.startswith('workdir ')
    assert why in line
    assert line.endswith('allowed is a directory that can be made and written')


@pytest.mark.parametrize(('code', 'remedy'), [
    (errno.EROFS, 'make it writable'), (errno.EACCES, 'make it writable'),
    (errno.ENOSPC, 'free some space'),
    (errno.EIO, 'allowed is a directory that can be made and written'),
])
def test_what_the_disk_says_is_one_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, code: int,
    remedy: str,
) -> None:
  def replace(source: str, target: str) -> None:
    raise OSError(code, os.strerror(code), target)

  monkeypatch.setattr(os, 'replace', replace)
  line = _refused(tmp_path / 'a')
  assert os.strerror(code) in line
  assert remedy in line


def test_a_disk_that_fails_later_is_one_line(tmp_path: pathlib.Path) -> None:
  directory = Workdir(tmp_path)
  with (
      pytest.raises(StorageError, match='No space left'),
      directory.opened(_config()),
  ):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
  with directory.opened(_config()):
    pass  # It was given back.


def test_another_config_is_refused_and_nothing_written(
    tmp_path: pathlib.Path,
) -> None:
  first = Workdir(tmp_path)
  first.open(_config())
  first.close()
  before = (tmp_path / 'config.json').read_bytes()
  with pytest.raises(UserError, match=r'search\.buckets was 2 and is 7'):
    Workdir(tmp_path).open(_config(**{'search.buckets': 7}))
  assert (tmp_path / 'config.json').read_bytes() == before


@pytest.mark.parametrize('field', ['budget.trials', 'budget.failures'])
def test_budgets_may_change(tmp_path: pathlib.Path, field: str) -> None:
  for value in (5, 9):
    workdir = Workdir(tmp_path)
    workdir.open(_config(**{field: value}))
    workdir.close()


def test_one_process_at_a_time(tmp_path: pathlib.Path) -> None:
  first = Workdir(tmp_path)
  first.open(_config())
  with pytest.raises(UserError, match='another process'):
    Workdir(tmp_path).open(_config())
  first.close()
  second = Workdir(tmp_path)
  second.open(_config())
  second.close()


def test_a_file_is_no_workdir(tmp_path: pathlib.Path) -> None:
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='allowed is a directory'):
    Workdir(tmp_path / 'file').open(_config())


def test_damaged_json_names_the_file(tmp_path: pathlib.Path) -> None:
  (tmp_path / 'config.json').write_text('{"seed": ')
  with pytest.raises(UserError, match=r'config\.json'):
    Workdir(tmp_path).open(_config())
  with pytest.raises(UserError, match=r'missing\.json'):
    read_json(tmp_path / 'missing.json')


def test_write_leaves_no_partial_file(tmp_path: pathlib.Path) -> None:
  Workdir(tmp_path).write_json('below/x.json', {'a': 1})
  assert [p.name for p in (tmp_path / 'below').iterdir()] == ['x.json']


def test_a_workdir_that_is_gone_is_not_made_anew(
    tmp_path: pathlib.Path
) -> None:
  workdir = Workdir(tmp_path / 'run')
  workdir.open(_config())
  workdir.write_json('x.json', 1)
  shutil.rmtree(workdir.path)
  with pytest.raises(StorageError, match=f'{workdir.path}: is gone'):
    workdir.write_json('x.json', 2)
  assert not workdir.path.exists()
  workdir.close()
