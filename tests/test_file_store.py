"""Files on a disk, and which store a path is in."""

import pathlib

import pytest
from etils import epath

from layernas.errors import UserError
from layernas.storage.files import file_store


def test_a_write_is_whole_and_leaves_nothing_else(
    tmp_path: pathlib.Path,
) -> None:
  path = epath.Path(tmp_path / 'below' / 'x')
  for data in (b'one', b'\r\n\xff'):
    file_store(path).write(path, data)
    assert path.read_bytes() == data
  assert [found.name for found in path.parent.iterdir()] == ['x']


def test_lines(tmp_path: pathlib.Path) -> None:
  path = epath.Path(tmp_path / 'lines')
  lines = file_store(path).lines(path)
  assert lines.read() is None
  lines.append('ä\n')
  lines.append('b\n')
  assert path.read_bytes() == lines.read() == 'ä\nb\n'.encode()
  lines.replace('c\n')
  lines.close()
  assert path.read_bytes() == b'c\n'


def test_moves_directories(tmp_path: pathlib.Path) -> None:
  (tmp_path / 'a' / 'below').mkdir(parents=True)
  (tmp_path / 'a' / 'below' / 'x').write_text('x')
  source = epath.Path(tmp_path / 'a')
  file_store(source).move(source, source.parent / 'aside' / 'a')
  assert (tmp_path / 'aside' / 'a' / 'below' / 'x').read_text() == 'x'
  assert not (tmp_path / 'a').exists()


def test_other_stores_are_refused() -> None:
  with pytest.raises(UserError, match=r's3://bucket/run: allowed are a local'):
    file_store('s3://bucket/run')


def test_a_directory_that_is_taken_is_in_use(tmp_path: pathlib.Path) -> None:
  path = epath.Path(tmp_path / 'run')
  store = file_store(path)
  assert store.in_use(path) is False
  give_back = store.take(path)
  assert store.in_use(path) is True
  give_back()
  assert store.in_use(path) is False


def test_room_is_that_of_the_file_system(tmp_path: pathlib.Path) -> None:
  directory = epath.Path(tmp_path)
  file_store(directory).check_room(directory, 1)
  with pytest.raises(OSError, match=f'No space left on device: .*{tmp_path}'):
    file_store(directory).check_room(directory, 1 << 62)
