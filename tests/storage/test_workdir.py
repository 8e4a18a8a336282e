"""Config check, lock and atomic files of a workdir."""

import json
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
