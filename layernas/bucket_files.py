"""Files of a run on gs://, through epath and gcsfs."""

import datetime
import importlib.util
import json
import os
import socket
from collections.abc import Callable
from typing import TypeVar

import fsspec
from absl import logging
from etils import epath

from layernas.errors import UserError

Value = TypeVar('Value')

# Lines outside the file itself, as a share of those in it. Rewriting it when
# there are more costs each line some fifty writes in all, however many come.
_LOOSE = 0.02

# Orbax writes past gcsfs, which would go on believing its old listings.
fsspec.config.conf.setdefault('gcs', {}).setdefault('use_listings_cache', False)


class BucketFiles:
  """Objects in a bucket; see `layernas.file_store.FileStore`."""

  def check(self, path: epath.Path) -> None:
    """Asks for what is needed to read, and whether the bucket answers.

    Args:
      path: on gs://.

    Raises:
      UserError: a package is missing, or there is no access.
    """
    if importlib.util.find_spec('gcsfs') is None:
      raise UserError(
          f"path {path}: gs:// needs gcsfs; pip install 'layernas[gcs]'"
      )
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
  """See `layernas.file_store.Lines`.

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


def _number(part: epath.Path) -> int:
  return int(part.name)


def _reached(path: epath.Path, ask: Callable[[], Value]) -> Value:
  """What a bucket answers; why it does not, in one line."""
  try:
    return ask()
  except Exception as error:  # Of gcsfs, of aiohttp, of google-auth.
    raise UserError(
        f'path {path}: {type(error).__name__}: {error}; allowed is a path in a'
        ' bucket that this machine may read and write'
    ) from error
