"""Files on a disk and on gs://: written whole, lines that lose nothing."""

import errno
import fcntl
import importlib.util
import json
import os
import pathlib
import re
import socket

import pytest
from absl import logging
from etils import epath

from layernas.errors import UserError
from layernas.storage import files
from layernas.storage.files import file_store
from tests.fake_gcs import Bucket


@pytest.fixture(name='root', params=['disk', 'bucket'])
def _root(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> epath.Path:
  """An empty directory of each kind."""
  if request.param == 'disk':
    return epath.Path(tmp_path)
  return epath.Path(request.getfixturevalue('bucket').url)


def _names(directory: epath.Path) -> list[str]:
  return sorted(path.name for path in directory.iterdir())


def test_a_write_is_whole_and_leaves_nothing_else(root: epath.Path) -> None:
  path = root / 'below' / 'x'
  for data in (b'one', b'\r\n\xff'):
    file_store(path).write(path, data)
    assert path.read_bytes() == data
  assert _names(path.parent) == ['x']


def test_lines_grow_and_are_replaced(root: epath.Path) -> None:
  path = root / 'run' / 'lines'
  path.parent.mkdir()
  lines = file_store(path).lines(path)
  assert lines.read() is None
  lines.append('ä\n')
  lines.append('b\n')
  # Another process, after a kill here.
  assert file_store(path).lines(path).read() == 'ä\nb\n'.encode()
  lines.replace('c\n')
  lines.close()
  assert path.read_bytes() == b'c\n'
  assert _names(path.parent) == ['lines']


def test_moves_directories(root: epath.Path) -> None:
  source, target = root / 'a', root / 'aside' / 'a'
  for name in ('x', 'below/y', 'below/deep/z'):
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).write_text(name)
  file_store(source).move(source, target)
  for name in ('x', 'below/y', 'below/deep/z'):
    assert (target / name).read_text() == name
  assert not source.exists()


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


@pytest.mark.parametrize('code', [
    errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP,
])
def test_a_file_system_without_locks_is_one_warning(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
  def flock(*_: object) -> None:
    raise OSError(code, os.strerror(code))

  warnings = []
  monkeypatch.setattr(fcntl, 'flock', flock)
  monkeypatch.setattr(
      logging, 'warning', lambda text, *values: warnings.append(text % values)
  )
  path = epath.Path(tmp_path / 'run')
  store = file_store(path)
  give_back = store.take(path)
  [warning] = warnings
  assert warning.startswith(f'workdir {path}: its file system has no locks')
  assert store.in_use(path) is None
  give_back()


def test_other_errors_of_a_lock_are_told(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  def flock(*_: object) -> None:
    raise OSError(errno.EIO, 'broken')

  monkeypatch.setattr(fcntl, 'flock', flock)
  path = epath.Path(tmp_path / 'run')
  with pytest.raises(OSError, match='broken'):
    file_store(path).take(path)


def test_room_is_that_of_the_file_system(tmp_path: pathlib.Path) -> None:
  directory = epath.Path(tmp_path)
  file_store(directory).check_room(directory, 1)
  with pytest.raises(OSError, match=f'No space left on device: .*{tmp_path}'):
    file_store(directory).check_room(directory, 1 << 62)


def _written(bucket: Bucket, begun: int) -> list[str]:
  """Names of the objects that were uploaded since a request."""
  return re.findall(
      r'POST /upload\S*[?&]name=([^& ]*)',
      '\n'.join(bucket.server.requests[begun:]),
  )


def _lines(bucket: Bucket):
  path = epath.Path(f'{bucket.url}/run/trials.jsonl')
  return file_store(path).lines(path)


@pytest.mark.long
def test_lines_are_there_after_every_append(bucket: Bucket) -> None:
  assert _lines(bucket).read() is None
  lines, text = _lines(bucket), ''
  lines.read()
  for number in range(120):
    line = f'{{"id": {number}}}\n'
    lines.append(line)
    text += line
    # Another process, after a kill here.
    assert _lines(bucket).read() == text.encode()
  assert bucket.names(r'run/trials\.jsonl\.parts/.*')
  lines.close()
  assert bucket.objects == {'run/trials.jsonl': text.encode()}


def test_what_a_line_costs_does_not_grow(bucket: Bucket) -> None:
  lines = _lines(bucket)
  lines.replace('line\n' * 1000)
  begun = len(bucket.server.requests)
  for _ in range(20):
    lines.append('line\n')
  assert _written(bucket, begun) == [
      f'run/trials.jsonl.parts/{number:06d}' for number in range(1000, 1020)
  ]
  lines.append('line\n')
  assert bucket.objects == {'run/trials.jsonl': b'line\n' * 1021}


def test_parts_that_a_kill_left_count_once(bucket: Bucket) -> None:
  bucket.objects.update({
      'run/trials.jsonl': b'0\n1\n2\n',
      'run/trials.jsonl.parts/000002': b'2\n',
      'run/trials.jsonl.parts/000003': b'3\n',
  })
  bucket.server.generations.update({
      (bucket.url[len('gs://'):], name): 1 for name in bucket.objects
  })
  lines = _lines(bucket)
  assert lines.read() == b'0\n1\n2\n3\n'
  lines.append('4\n')
  assert bucket.objects == {'run/trials.jsonl': b'0\n1\n2\n3\n4\n'}


def test_a_line_cut_short_swallows_no_part(bucket: Bucket) -> None:
  path = epath.Path(f'{bucket.url}/run/trials.jsonl')
  path.write_text('0\n1')
  epath.Path(f'{path}.parts/000002').write_text('2\n')
  assert _lines(bucket).read() == b'0\n1\n2\n'


def test_the_owner_is_recorded_and_an_earlier_one_named(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
  directory = epath.Path(f'{bucket.url}/run')
  give_back = file_store(directory).take(directory)
  assert not caplog.messages
  owner = json.loads(bucket.objects['run/owner.json'])
  assert set(owner) == {'host', 'pid', 'since'}
  with caplog.at_level('WARNING', logger='absl'):
    file_store(directory).take(directory)
  assert str(owner['pid']) in caplog.text
  assert 'end one of them' in caplog.text
  give_back()
  assert not bucket.objects


def test_a_bucket_that_does_not_exist(bucket: Bucket) -> None:
  directory = epath.Path(f'{bucket.url}-wrong/run')
  with pytest.raises(UserError, match=r'-wrong/run.*allowed is a path'):
    file_store(directory).take(directory)
  assert f'{bucket.url}-wrong'[len('gs://'):] not in bucket.server.objects


def test_a_bucket_that_must_not_be_read(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
  monkeypatch.setattr(bucket.server, 'refused', '.')
  path = epath.Path(f'{bucket.url}/run')
  with pytest.raises(UserError, match='allowed is a path') as error:
    file_store(path).check(path)
  assert 'gs://' in str(error.value)


def test_without_gcsfs_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  path = epath.Path('gs://bucket/run')
  with pytest.raises(UserError, match='pip install gcsfs google-cloud-storage'):
    file_store(path).check(path)


def test_a_bucket_without_a_network_is_one_line_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
  def unknown(host: str, port: int) -> None:
    raise socket.gaierror(-2, f'{host}:{port} not known')

  monkeypatch.delenv('STORAGE_EMULATOR_HOST', raising=False)
  monkeypatch.setattr(files, 'getproxies', dict)
  monkeypatch.setattr(socket, 'getaddrinfo', unknown)
  path = epath.Path('gs://bucket/run')
  with pytest.raises(UserError) as error:
    file_store(path).check(path)
  assert str(error.value).startswith('path gs://bucket/run: gaierror: ')
  assert 'storage.googleapis.com:443 not known' in str(error.value)
  assert not caplog.records
