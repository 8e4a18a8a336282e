"""Files of a run, on a local disk or in a bucket: what the two do differently.

A bucket has no append, no rename and no lock, but an object is written whole or
not at all.
"""

import errno
import fcntl
import os
from collections.abc import Callable
from typing import Protocol

from etils import epath

from layernas.errors import UserError


class Lines(Protocol):
  """A text file that grows by one line at a time."""

  def read(self) -> bytes | None:
    """All lines, the last perhaps cut short; None where there is no file."""

  def append(self, line: str) -> None:
    r"""Adds a line that ends with \n; on return it is stored."""

  def replace(self, text: str) -> None:
    """Makes the file hold other lines, in one step."""

  def close(self) -> None:
    """Leaves one whole file."""


class FileStore(Protocol):
  """How files of a run are stored."""

  def check(self, path: epath.Path) -> None:
    """Raises UserError where such a path cannot be reached from here."""

  def take(self, directory: epath.Path) -> Callable[[], None]:
    """Makes a directory this process's own.

    Args:
      directory: is made where it does not exist.

    Returns:
      Gives it back.

    Raises:
      UserError: another process has it, as far as the store can tell, or it
        cannot be written.
    """

  def in_use(self, directory: epath.Path) -> bool | None:
    """Whether a process has taken a directory; None where nothing tells."""

  def write(self, path: epath.Path, data: bytes) -> None:
    """Writes a file in one step: a kill leaves the old one or the new one."""

  def lines(self, path: epath.Path) -> Lines:
    """A file that grows by one line at a time."""

  def move(self, directory: epath.Path, target: epath.Path) -> None:
    """Renames a directory; the target does not exist."""

  def check_room(self, directory: epath.Path, size: int) -> None:
    """Raises OSError where so many bytes certainly find no room."""


def file_store(path: epath.PathLike) -> FileStore:
  """The store that a path is in.

  Args:
    path: local, or gs://BUCKET/PATH.

  Returns:
    Its store.

  Raises:
    UserError: no such store is known.
  """
  scheme, mark, _ = os.fspath(path).partition('://')
  if not mark:
    return LocalFiles()
  if scheme != 'gs':
    raise UserError(
        f'path {path}: allowed are a local path and gs://BUCKET/PATH'
    )
  # Only those who use it pay for it.
  from layernas.bucket_files import BucketFiles  # noqa: PLC0415

  return BucketFiles()


class LocalFiles:
  """Files on a disk."""

  def check(self, path: epath.Path) -> None:
    """Does nothing: a local path can always be asked."""

  def take(self, directory: epath.Path) -> Callable[[], None]:
    """Locks a directory for as long as this process lives; see `FileStore`."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory / '.lock', os.O_CREAT | os.O_RDWR)
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      os.close(lock)
      raise UserError(
          f'workdir {directory}: another process is using it; allowed is one'
          ' process at a time'
      ) from error
    return lambda: os.close(lock)

  def in_use(self, directory: epath.Path) -> bool | None:
    """Whether a living process has locked it."""
    if not (directory / '.lock').exists():
      return False
    lock = os.open(directory / '.lock', os.O_RDONLY)
    try:
      fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
      return True
    finally:
      os.close(lock)
    return False

  def write(self, path: epath.Path, data: bytes) -> None:
    """Writes beside the file and renames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + '.partial')
    with open(partial, 'wb') as file:
      file.write(data)
      file.flush()
      os.fsync(file.fileno())
    os.replace(partial, path)

  def lines(self, path: epath.Path) -> Lines:
    """A file that is appended to."""
    return _LocalLines(path, self)

  def move(self, directory: epath.Path, target: epath.Path) -> None:
    """Renames a directory."""
    target.parent.mkdir(parents=True, exist_ok=True)
    directory.rename(target)

  def check_room(self, directory: epath.Path, size: int) -> None:
    """Asks the file system; what is set apart for root counts as room."""
    found = os.statvfs(directory)
    # Some file systems do not tell their size.
    if found.f_blocks and found.f_bfree * found.f_frsize < size:
      raise OSError(
          errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(directory)
      )


class _LocalLines:
  """See `Lines`."""

  def __init__(self, path: epath.Path, store: LocalFiles):
    self._path = path
    self._store = store

  def read(self) -> bytes | None:
    return self._path.read_bytes() if self._path.exists() else None

  def append(self, line: str) -> None:
    with open(self._path, 'a', encoding='utf-8') as file:
      file.write(line)
      file.flush()
      os.fsync(file.fileno())

  def replace(self, text: str) -> None:
    self._store.write(self._path, text.encode())

  def close(self) -> None:
    pass
