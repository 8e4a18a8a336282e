"""Checkpoints that are damaged, cut short or interrupted; full disks."""

import errno
import os
import pathlib
import shutil
import subprocess
import sys
import types

import jax.numpy as jnp
import numpy as np
import pytest

from layernas.errors import UserError
from layernas.storage.checkpoints import Checkpoints


def _tree(step):
  return {
      'weights': np.arange(6, dtype=np.float32).reshape(2, 3) / 7 + step,
      'half': jnp.full((2,), step, jnp.bfloat16),
      'step': np.full((), step, np.int32),
      'inner': [np.zeros((1, 3), np.float32), {'flag': np.array([True])}],
  }


def _save(directory, *steps, keep=2):
  checkpoints = Checkpoints(directory, keep=keep)
  for step in steps:
    checkpoints.save(step, {'number': step}, _tree(step))
  checkpoints.close()


def _restore(directory):
  """Number of the checkpoint that is read; its tree is what was saved."""
  checkpoints = Checkpoints(directory)
  found = checkpoints.restore(_tree(0))
  checkpoints.close()
  if found is None:
    return None
  record, tree = found
  expected = _tree(record['number'])
  for name in ('weights', 'half', 'step'):
    assert tree[name].dtype == expected[name].dtype
    np.testing.assert_array_equal(tree[name], expected[name])
  return record['number']


def _files(directory):
  return sorted(path for path in directory.rglob('*') if path.is_file())


def _empty_files(directory: pathlib.Path) -> None:
  for file in _files(directory):
    file.write_bytes(b'')


def _damage_record(directory: pathlib.Path) -> None:
  (directory / 'record' / 'metadata').write_text('{"number": ')


def _lose_record(directory: pathlib.Path) -> None:
  shutil.rmtree(directory / 'record')


def _lose_tree(directory: pathlib.Path) -> None:
  shutil.rmtree(directory / 'tree')


_DAMAGES = (_empty_files, _damage_record, _lose_record, _lose_tree)


@pytest.mark.parametrize('record', [
    {'a': [1, 2.5, None, 'ü'], 'b': {'c': True}}, [], {}, [[1], {'x': 0.1}],
])
def test_records_come_back(tmp_path, record) -> None:
  checkpoints = Checkpoints(tmp_path, with_tree=False)
  checkpoints.save(1, record)
  checkpoints.close()
  assert Checkpoints(tmp_path, with_tree=False).restore() == (record, None)


def test_restores_the_newest_and_keeps_the_last_ones(
    tmp_path, monkeypatch
) -> None:
  monkeypatch.chdir(tmp_path)
  _save('some/where', 1, 2, 3, 9000)
  directory = tmp_path / 'some' / 'where'
  assert _restore(directory) == 9000
  assert {path.name for path in directory.iterdir()} == {'3', '9000'}


def test_nothing_saved_is_none(tmp_path) -> None:
  assert _restore(tmp_path / 'made' / 'below') is None


@pytest.mark.parametrize('damage', _DAMAGES)
def test_falls_back_to_the_one_before(tmp_path, caplog, damage) -> None:
  directory = tmp_path / 'checkpoints'
  _save(directory, 1, 2)
  damage(directory / '2')
  with caplog.at_level('WARNING', logger='absl'):
    assert _restore(directory) == 1
  warnings = [message for message in caplog.messages if 'set aside' in message]
  assert len(warnings) == 1
  assert str(directory / '2') in warnings[0]
  assert not (directory / '2').exists()
  assert (tmp_path / 'checkpoints_unreadable' / '2').exists()
  caplog.clear()
  with caplog.at_level('WARNING', logger='absl'):
    assert _restore(directory) == 1
  assert not any('set aside' in message for message in caplog.messages)


def test_none_where_none_can_be_read(tmp_path) -> None:
  directory = tmp_path / 'checkpoints'
  _save(directory, 1, 2)
  _damage_record(directory / '1')
  _lose_tree(directory / '2')
  assert _restore(directory) is None
  aside = tmp_path / 'checkpoints_unreadable'
  assert {path.name for path in aside.iterdir()} == {'1', '2'}


@pytest.mark.long
def test_saves_again_what_was_set_aside_and_again(tmp_path) -> None:
  directory = tmp_path / 'checkpoints'
  _save(directory, 1, 2)
  for _ in range(2):
    _lose_tree(directory / '2')
    checkpoints = Checkpoints(directory)
    record, _ = checkpoints.restore(_tree(0))
    assert record == {'number': 1}
    checkpoints.save(2, {'number': 2}, _tree(2))
    checkpoints.close()
    assert _restore(directory) == 2


@pytest.mark.long
def test_a_file_cut_short_never_gives_something_else(tmp_path) -> None:
  whole = tmp_path / 'whole'
  _save(whole, 1, 2)
  files = [file.relative_to(whole) for file in _files(whole / '2')]
  assert len(files) > 5
  for number, file in enumerate(files):
    directory = tmp_path / str(number)
    shutil.copytree(whole, directory)
    content = (directory / file).read_bytes()
    (directory / file).write_bytes(content[:len(content) // 2])
    assert _restore(directory) in (1, 2), file


_DROPPED = """
import asyncio.log
import sys
from absl import logging
from layernas.storage.checkpoints import Checkpoints

Checkpoints(sys.argv[1]).close()

class Raises:
  def __init__(self, message):
    self.message = message

  def __del__(self):
    raise RuntimeError(self.message)

Raises('Event loop is closed')
Raises('something else')
logger = logging.get_absl_logger()
for file in ('orbax/checkpoint/future.py', 'ours.py'):
  logger.handle(logger.makeRecord(
      'absl', 40, f'/site-packages/{file}', 1, 'of %s', (file,),
      (OSError, OSError(), None),
  ))
logging.error('something of ours')
asyncio.log.logger.error('Task exception was never retrieved: orbax/x.py')
asyncio.log.logger.error('Task exception of ours')
"""


def test_what_is_raised_as_well_is_not_shown(tmp_path) -> None:
  done = subprocess.run(
      [sys.executable, '-c', _DROPPED, str(tmp_path / 'checkpoints')],
      capture_output=True, text=True,
  )
  assert 'RuntimeError: something else' in done.stderr
  assert 'something of ours' in done.stderr
  assert 'Task exception of ours' in done.stderr
  assert 'orbax' not in done.stderr
  assert 'Event loop' not in done.stderr
  assert 'of ours.py' in done.stderr


@pytest.mark.parametrize('suffix', [
    '.orbax-checkpoint-tmp', '.orbax-checkpoint-tmp-1700000000',
])
def test_ignores_what_a_killed_save_left(tmp_path, suffix) -> None:
  _save(tmp_path, 1, 2)
  left = tmp_path / f'3{suffix}'
  shutil.copytree(tmp_path / '2', left)
  (left / 'record' / 'metadata').unlink()
  # One opening only: orbax clears up in the background, and a save waits for
  # its own manager's clearing alone.
  _save(tmp_path, 3)
  assert _restore(tmp_path) == 3


def test_a_save_without_its_commit_mark_does_not_count(tmp_path) -> None:
  directory = tmp_path / 'checkpoints'
  _save(directory, 1, 2)
  for file in _files(directory / '2'):
    if file.name == 'commit_success.txt':
      file.unlink()
  assert _restore(directory) in (1, 2)
  _save(directory, 3)
  assert _restore(directory) == 3


def test_check_sees_the_record_before_the_tree_is_read(tmp_path) -> None:
  directory = tmp_path / 'checkpoints'
  _save(directory, 1, 2)

  def check(record):
    raise UserError(f'not {record["number"]}')

  checkpoints = Checkpoints(directory)
  with pytest.raises(UserError, match='not 2'):
    checkpoints.restore({'another': np.zeros(3)}, check)
  checkpoints.close()
  assert _restore(directory) == 2


@pytest.mark.long
@pytest.mark.parametrize('part', ['record/metadata', 'tree/.*'])
def test_a_bucket_falls_back_to_the_one_before(bucket, part) -> None:
  directory = f'{bucket.url}/run/checkpoints'
  _save(directory, 1, 2)
  for name in bucket.names(f'run/checkpoints/2/{part}'):
    bucket.objects[name] = b''
  assert _restore(directory) == 1
  assert not bucket.names('run/checkpoints/2/.*')
  assert bucket.names('run/checkpoints_unreadable/2/.*')
  _save(directory, 2)
  assert _restore(directory) == 2


def test_a_bucket_ignores_a_save_that_was_killed(bucket) -> None:
  directory = f'{bucket.url}/run/checkpoints'
  _save(directory, 1, 2)
  del bucket.objects['run/checkpoints/2/commit_success.txt']
  assert _restore(directory) == 1
  _save(directory, 2)
  assert _restore(directory) == 2


def test_a_full_disk_shows_before_anything_is_written(
    tmp_path, monkeypatch
) -> None:
  _save(tmp_path, 1)
  room = os.statvfs(tmp_path)
  size = 1 << 20
  checkpoints = Checkpoints(tmp_path)
  blocks = size // room.f_frsize
  monkeypatch.setattr(os, 'statvfs', lambda path: types.SimpleNamespace(
      f_blocks=10 * blocks, f_bfree=blocks, f_frsize=room.f_frsize
  ))
  large = _tree(2) | {'large': np.zeros(size - 1000, np.uint8)}
  with pytest.raises(OSError, match='No space') as error:
    checkpoints.save(2, {'number': 2}, large)
  assert error.value.errno == errno.ENOSPC
  assert error.value.filename == str(tmp_path)
  checkpoints.save(3, {'number': 3}, _tree(3))
  checkpoints.close()
  assert _restore(tmp_path) == 3
  assert not [path for path in tmp_path.iterdir() if path.name.startswith('2')]
