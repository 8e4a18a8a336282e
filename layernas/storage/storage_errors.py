"""Errors for which a disk is to blame, not what was to be written on it.

They end a search: recorded as the failure of a candidate they would change its
answer, and no other attempt would do better.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator

from etils import epath

from layernas.errors import UserError

_REMEDIES = {
    errno.ENOSPC: 'free some space',
    errno.EDQUOT: 'free some space',
    errno.EROFS: 'make it writable',
    errno.EACCES: 'make it writable',
}
"""Numbers of <errno.h> -> what a person does about them."""

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENOTCONN)
"""What is said of a file whose whole directory or disk went away."""

_TENSORSTORE = re.compile(r"os_error_code='(\d+)'")
"""How TensorStore, which orbax writes with, tells of such a number: in the text
of a ValueError."""


class StorageError(UserError):
  """The disk of a run is full, read-only or gone; one line says which.

  What was stored before is whole, and the run can be resumed.
  """


@contextlib.contextmanager
def in_one_line(workdir: epath.PathLike) -> Iterator[None]:
  """Makes one line of what a disk is to blame for.

  Args:
    workdir: of the run.

  Raises:
    StorageError: it is the cause of an exception inside.
  """
  try:
    yield
  except Exception as error:
    found = storage_error(error, workdir)
    if found is None or found is error:
      raise
    raise found from error


@contextlib.contextmanager
def usable(workdir: epath.PathLike) -> Iterator[None]:
  """Whatever the system says against a directory is one line.

  Args:
    workdir: of a run, that is looked at or made inside.

  Raises:
    StorageError: the disk is full or read-only.
    UserError: for every other OSError inside, and for a path that can be none.
  """
  try:
    yield
  except OSError as error:
    if error.errno in _REMEDIES:
      raise storage_error(error, workdir) from error
    file = error.filename
    at = '' if file in (None, os.fspath(workdir)) else f'{os.fspath(file)}: '
    raise UserError(
        f'workdir {workdir}: {at}{error.strerror or error}; allowed is a'
        ' directory that can be made and written'
    ) from error
  except ValueError as error:
    if '\0' not in os.fspath(workdir):
      raise
    raise UserError(
        f'workdir {os.fspath(workdir)!r}: holds a null character; allowed is a'
        ' directory that can be made and written'
    ) from error


def storage_error(
    error: BaseException, workdir: epath.PathLike
) -> StorageError | None:
  """What a disk has to do with an exception.

  Args:
    error: with its causes, and with what was handled when it was raised: a
      full disk has the closing of files fail too.
    workdir: of the run.

  Returns:
    The error in one line, or None where the disk has nothing to do with it or
    the exception is one line already.
  """
  if isinstance(error, UserError):
    return error if isinstance(error, StorageError) else None
  for one in _chain(error):
    if isinstance(one, StorageError):
      return one
    code = _code(one)
    if code in _REMEDIES:
      file = getattr(one, 'filename', None)
      where = f'file {os.fspath(file)}' if file else f'workdir {workdir}'
      return StorageError(
          f'{where}: {os.strerror(code)}; {_REMEDIES[code]}, and the same'
          ' command goes on from here'
      )
    if code in _ABSENT and not epath.Path(workdir).is_dir():
      return gone(workdir)
  return None


def gone(workdir: epath.PathLike) -> StorageError:
  """The error of a workdir that is not there any more."""
  return StorageError(
      f'workdir {workdir}: is gone; bring it back, and the same command goes on'
      ' from what it holds'
  )


def _chain(error: BaseException) -> Iterator[BaseException]:
  """An exception and all that led to it."""
  waiting, seen = [error], set()
  while waiting:
    one = waiting.pop()
    if one is not None and id(one) not in seen:
      seen.add(id(one))
      yield one
      waiting += [one.__context__, one.__cause__]


def _code(error: BaseException) -> int | None:
  """Number of <errno.h>, if there is one."""
  if isinstance(error, OSError):
    return error.errno
  match = _TENSORSTORE.search(str(error))
  return int(match[1]) if match else None
