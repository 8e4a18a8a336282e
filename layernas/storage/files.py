"""Files of a run, on a local disk or in a bucket: what the two do differently.

A bucket has no append, no rename and no lock, but an object is written whole or
not at all.
"""

import datetime
import errno
import fcntl
import importlib.util
import json
import logging as logging_of_python
import os
import socket
from collections.abc import Callable
from typing import Protocol
from typing import TypeVar
from urllib.request import getproxies

import fsspec
from absl import logging
from etils import epath

from layernas.errors import UserError
from layernas.errors import not_installed

Value = TypeVar('Value')

_HOST = 'storage.googleapis.com'
"""Of all buckets, as gcsfs asks it."""

_LOOSE = 0.02
"""Lines outside a bucket's file itself, as a share of those in it. Rewriting it
when there are more costs each line some fifty writes in all, however many
come."""

_NO_LOCKS = (
    errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL,
)
"""What file systems without locks say: NFS, Lustre, some that FUSE mounts."""

# Orbax writes past gcsfs, which would go on believing its old listings.
fsspec.config.conf.setdefault('gcs', {}).setdefault('use_listings_cache', False)


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
  return BucketFiles()


class LocalFiles:
  """Files on a disk; see `FileStore`."""

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
    except OSError as error:
      if error.errno not in _NO_LOCKS:
        os.close(lock)
        raise
      logging.warning(
          'workdir %s: its file system has no locks (%s); nothing keeps two'
          ' processes from writing', directory, error.strerror,
      )
    return lambda: os.close(lock)

  def in_use(self, directory: epath.Path) -> bool | None:
    """Whether a living process has locked it; None where it cannot be told."""
    try:
      lock = os.open(directory / '.lock', os.O_RDONLY)
    except FileNotFoundError:
      return False
    except OSError:
      return None
    try:
      fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
      return True
    except OSError:
      return None
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


class BucketFiles:
  """Objects in a bucket on gs://, through epath and gcsfs; see `FileStore`."""

  def check(self, path: epath.Path) -> None:
    """Asks for what is needed to read, and whether the bucket answers.

    Args:
      path: on gs://.

    Raises:
      UserError: a package is missing, or there is no access.
    """
    if importlib.util.find_spec('gcsfs') is None:
      raise without_gcsfs(f'path {path}')
    _reached(path, path.exists)

  def take(self, directory: epath.Path) -> Callable[[], None]:
    """Writes owner.json; says so where there is one of another process.

    A lock would outlive a machine that was preempted, so there is none.

    Args:
      directory: of the run.

    Returns:
      Removes owner.json.

    Raises:
      UserError: the bucket does not exist or must not be written.
    """
    path = directory / 'owner.json'
    if _reached(path, path.exists):
      logging.warning(
          'workdir %s: is or was used by %s; nothing on gs:// keeps two'
          ' processes from writing: if that one still runs, end one of them',
          directory, ' '.join(path.read_text().split()),
      )
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
    owner = {'host': socket.gethostname(), 'pid': os.getpid(), 'since': now}
    text = json.dumps(owner) + '\n'
    _reached(path, lambda: self.write(path, text.encode()))
    return lambda: path.unlink(missing_ok=True)

  def in_use(self, directory: epath.Path) -> bool | None:
    """Nothing tells: an owner that was killed leaves its name."""
    del directory
    return None

  def write(self, path: epath.Path, data: bytes) -> None:
    """Writes one object, which is whole or not there."""
    path.write_bytes(data)

  def lines(self, path: epath.Path) -> '_BucketLines':
    """An object, and one more for each of the last lines."""
    return _BucketLines(path, self)

  def move(self, directory: epath.Path, target: epath.Path) -> None:
    """Copies every object, then removes the old ones."""
    for path in directory.iterdir():
      if path.is_dir():
        self.move(path, target / path.name)
      else:
        self.write(target / path.name, path.read_bytes())
    directory.rmtree(missing_ok=True)

  def check_room(self, directory: epath.Path, size: int) -> None:
    """Does nothing: a bucket is never full."""


class _BucketLines:
  """See `Lines`.

  A line goes to an object of its own in NAME.parts/, named by its number, and
  now and then all go into the object NAME. A kill between the two leaves both:
  numbers tell which lines NAME holds already.
  """

  def __init__(self, path: epath.Path, store: BucketFiles):
    self._path = path
    self._store = store
    self._directory = path.with_name(f'{path.name}.parts')
    self._lines: list[str] = []
    self._whole = 0
    self._parts: list[epath.Path] = []

  def read(self) -> bytes | None:
    exists = self._path.exists()
    data = self._path.read_bytes() if exists else b''
    if data and not data.endswith(b'\n'):
      data += b'\n'
    self._whole = data.count(b'\n')
    self._parts = []
    if self._directory.exists():
      self._parts = sorted(self._directory.iterdir(), key=_number)
    for part in self._parts:
      if _number(part) >= self._whole:
        data += part.read_bytes()
    self._lines = data.decode('utf-8', 'replace').splitlines(keepends=True)
    return data if exists or self._parts else None

  def append(self, line: str) -> None:
    number = len(self._lines)
    self._lines.append(line)
    if number + 1 - self._whole > _LOOSE * self._whole:
      self._write_whole()
      return
    part = self._directory / f'{number:06d}'
    self._store.write(part, line.encode())
    self._parts.append(part)

  def replace(self, text: str) -> None:
    self._lines = text.splitlines(keepends=True)
    self._write_whole()

  def close(self) -> None:
    if self._parts:
      self._write_whole()

  def _write_whole(self) -> None:
    self._store.write(self._path, ''.join(self._lines).encode())
    self._whole = len(self._lines)
    for part in self._parts:
      part.unlink(missing_ok=True)
    self._parts = []


def without_gcsfs(what: str) -> UserError:
  """The error of what needs gs:// where nothing reaches it.

  Args:
    what: path that is used.

  Returns:
    The error, with the command that installs what it takes.
  """
  return not_installed(what, 'gcsfs', 'gcsfs', 'google-cloud-storage')


def _number(part: epath.Path) -> int:
  return int(part.name)


def _reached(path: epath.Path, ask: Callable[[], Value]) -> Value:
  """What a bucket answers; why it does not, in one line."""
  log = logging_of_python.getLogger('gcsfs')
  level = log.level
  # It prints pages about what is raised in the end.
  log.setLevel(logging_of_python.CRITICAL)
  try:
    _look_up_host()
    return ask()
  except Exception as error:  # Of gcsfs, of aiohttp, of google-auth.
    raise UserError(
        f'path {path}: {type(error).__name__}: {error}; allowed is a path in a'
        ' bucket that this machine may read and write'
    ) from error
  finally:
    log.setLevel(level)


def _look_up_host() -> None:
  """Raises OSError where the network is not there: gcsfs tries for minutes."""
  elsewhere = (
      os.environ.get('STORAGE_EMULATOR_HOST') or getproxies()
      or fsspec.config.conf['gcs'].get('endpoint_url')
  )
  if not elsewhere:
    socket.getaddrinfo(_HOST, 443)
