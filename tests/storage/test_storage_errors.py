"""A full, read-only or vanished disk is one line."""

import errno
import os
import pathlib

import pytest

from layernas.errors import UserError
from layernas.storage.storage_errors import StorageError
from layernas.storage.storage_errors import in_one_line
from layernas.storage.storage_errors import storage_error

# As TensorStore words it, shortened.
_TENSORSTORE = (
    'RESOURCE_EXHAUSTED: Error writing "w0/0" in OCDBT database: Failed to'
    " write 26923 bytes to file 13: No space left on device [os_error_code='28'"
    "] [tensorstore_spec='{}']"
)


def _os_error(code: int, *file: str) -> OSError:
  return OSError(code, os.strerror(code), *file)


@pytest.mark.parametrize(('error', 'line'), [
    (_os_error(errno.ENOSPC), 'workdir W: No space left on device; free some'),
    (_os_error(errno.EDQUOT), 'workdir W: Disk quota exceeded; free some'),
    (_os_error(errno.EROFS, 'W/x'),
     'file W/x: Read-only file system; make it writable'),
    (_os_error(errno.EACCES, 'W/.lock'), 'file W/.lock: Permission denied'),
    (ValueError(_TENSORSTORE), 'workdir W: No space left on device; free some'),
])
def test_the_line_names_path_reason_and_remedy(error, line):
  found = storage_error(error, 'W')
  assert str(found).startswith(line)
  assert str(found).endswith('and the same command goes on from here')
  assert '\n' not in str(found)


@pytest.mark.parametrize('error', [
    RuntimeError('RESOURCE_EXHAUSTED: out of memory'),
    OSError('no space left on device'), _os_error(errno.EIO), MemoryError(),
    ValueError("[os_error_code='5']"),
])
def test_other_errors_are_not_the_disks(error, tmp_path):
  assert storage_error(error, tmp_path) is None
  with pytest.raises(type(error)) as caught, in_one_line(tmp_path):
    raise error
  assert caught.value is error


def test_causes_and_what_was_handled_count():
  def wrapped():
    try:
      try:
        raise _os_error(errno.ENOSPC)
      except OSError as error:
        raise RuntimeError('cannot save') from error
    finally:
      raise TypeError('cannot close')

  with pytest.raises(StorageError, match='No space'), in_one_line('W'):
    wrapped()


def test_a_missing_file_is_the_disks_where_the_workdir_is_gone(
    tmp_path: pathlib.Path
):
  missing = _os_error(errno.ENOENT, 'data.csv')
  assert storage_error(missing, tmp_path) is None
  found = storage_error(missing, tmp_path / 'gone')
  assert str(found).startswith(f'workdir {tmp_path}/gone: is gone')
  assert storage_error(
      ValueError("NOT_FOUND: x [os_error_code='2']"), tmp_path / 'gone'
  )


def test_what_is_one_line_already_stays():
  error = UserError('file x: allowed is a readable one')
  error.__cause__ = _os_error(errno.EACCES, 'x')
  assert storage_error(error, 'W') is None
  found = StorageError('of the disk')
  with pytest.raises(StorageError) as caught, in_one_line('W'):
    raise found
  assert caught.value is found
