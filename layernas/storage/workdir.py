"""The directory of one run: what lies where, and whose config it is."""

import contextlib
import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from etils import epath
from ml_collections import config_dict

from layernas.errors import UserError
from layernas.storage.files import file_store
from layernas.storage.storage_errors import gone
from layernas.storage.storage_errors import in_one_line
from layernas.storage.storage_errors import usable

_FREE_FIELDS = (
    'budget.',
    'compile_ahead',
    'raise_failures',
    'profile.',
    'executor.name',
    'executor.workers',
    'executor.retries',
    'executor.timeout',
    'executor.address',
    'executor.memory',
    'training.checkpoint_every_steps',
    'final.checkpoint_every_steps',
)
"""A search may be resumed with other values of these: they only say when to
stop and how often to save, when to compile and where to train."""

_CONFIG = 'config.json'
"""File of every workdir."""


class Workdir:
  """Files of a run, on a local disk or on gs://.

  Only one process at a time may write them; on a local disk a lock sees to it,
  on gs:// a warning is all there is.

  Attributes:
    path: of the directory.
  """

  def __init__(
      self, path: epath.PathLike, free_fields: tuple[str, ...] = _FREE_FIELDS
  ):
    """Names a directory; makes nothing.

    Args:
      path: local, or gs://BUCKET/DIRECTORY.
      free_fields: beginnings of the dotted names of config fields that may
        differ when the run is resumed.
    """
    self.path = epath.Path(path)
    self._free_fields = free_fields
    self._store = file_store(self.path)
    self._give_back: Callable[[], None] | None = None
    self._is_open = False

  def open(self, config: config_dict.ConfigDict) -> None:
    """Makes the directory, or checks that it is a run of the same config.

    Args:
      config: of the run; is written to config.json.

    Raises:
      UserError: it belongs to another config, another process uses it, or it
        cannot be reached; nothing has been written.
    """
    with usable(self.path):
      self._open(config)
    self._is_open = True

  def _open(self, config: config_dict.ConfigDict) -> None:
    self._store.check(self.path)
    if self.path.exists() and not self.path.is_dir():
      raise UserError(f'workdir {self.path}: allowed is a directory')
    recorded = self.read_json(_CONFIG)
    if recorded is not None:
      self._check_same(recorded, config.to_dict())
    self._give_back = self._store.take(self.path)
    try:
      self._store.write(self.path / _CONFIG, _text(config.to_dict()).encode())
    except BaseException:
      self.close()
      raise

  @contextlib.contextmanager
  def opened(self, config: config_dict.ConfigDict) -> Iterator[None]:
    """Opens and closes it; what its disk is to blame for is one line.

    Args:
      config: as for `open`.

    Raises:
      UserError: as of `open`.
      StorageError: the disk is full, read-only or gone.
    """
    with in_one_line(self.path):
      self.open(config)
      try:
        yield
      finally:
        self.close()

  def close(self) -> None:
    """Lets other processes use it."""
    if self._give_back is not None:
      self._give_back()
      self._give_back = None
    self._is_open = False

  def write_json(self, name: str, value: Any) -> None:
    """Writes a file in one step: a kill leaves the old one or the new one."""
    self.write_text(name, _text(value))

  def write_text(self, name: str, text: str) -> None:
    """Writes a text file in one step.

    Raises:
      StorageError: the directory that was opened is not there any more.
    """
    # It would be made anew, without what the run has found so far.
    if self._is_open and not (self.path / _CONFIG).exists():
      raise gone(self.path)
    self._store.write(self.path / name, text.encode())

  def read_json(self, name: str) -> Any:
    """Content of a JSON file, or None where it does not exist.

    Raises:
      UserError: it is no JSON.
    """
    return read_json(self.path / name) if (self.path / name).exists() else None

  def _check_same(self, recorded: Any, config: Any) -> None:
    old, new = _flat(recorded), _flat(config)
    different = [
        name for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
        and not name.startswith(self._free_fields)
    ]
    if different:
      changes = ', '.join(
          f'{name} was {old.get(name)!r} and is {new.get(name)!r}'
          for name in different[:3]
      )
      raise UserError(
          f'workdir {self.path}: belongs to a run of another config'
          f' ({changes}); allowed is the same config, or another workdir'
      )


def read_json(path: epath.PathLike) -> Any:
  """Reads a JSON file.

  Args:
    path: of the file.

  Returns:
    Its content.

  Raises:
    UserError: it does not exist or is no JSON.
  """
  try:
    return json.loads(epath.Path(path).read_text())
  except (OSError, ValueError) as error:
    raise UserError(
        f'file {path}: {error}; allowed is a readable JSON file'
    ) from error


def _text(value: Any) -> str:
  return json.dumps(value, indent=2) + '\n'


def _flat(values: Any, prefix: str = '') -> dict[str, Any]:
  """Dotted field names to values."""
  flat: dict[str, Any] = {}
  for name, value in values.items():
    if isinstance(value, dict):
      flat |= _flat(value, f'{prefix}{name}.')
    else:
      flat[prefix + name] = list(value) if isinstance(value, tuple) else value
  return flat
