"""The directory of one run: what lies where, and whose config it is."""

import fcntl
import json
import os
from typing import Any

from etils import epath
from ml_collections import config_dict

from layernas.errors import UserError

# A search may be resumed with other values of these: they only say when to stop
# and how often to save or print.
_FREE_FIELDS = (
    'budget.',
    'training.checkpoint_every_steps',
    'final.checkpoint_every_steps',
)


class Workdir:
  """Files of a run, and a lock so that only one process writes them.

  Attributes:
    path: of the directory.
  """

  def __init__(
      self, path: epath.PathLike, free_fields: tuple[str, ...] = _FREE_FIELDS
  ):
    """Names a directory; makes nothing.

    Args:
      path: local.
      free_fields: beginnings of the dotted names of config fields that may
        differ when the run is resumed.
    """
    self.path = epath.Path(path)
    self._free_fields = free_fields
    self._lock: int | None = None

  def open(self, config: config_dict.ConfigDict) -> None:
    """Makes the directory, or checks that it is a run of the same config.

    Args:
      config: of the run; is written to config.json.

    Raises:
      UserError: it belongs to another config, or another process uses it;
        nothing has been written.
    """
    if self.path.exists() and not self.path.is_dir():
      raise UserError(f'workdir {self.path}: allowed is a directory')
    recorded = self.read_json('config.json')
    if recorded is not None:
      self._check_same(recorded, config.to_dict())
    self.path.mkdir(parents=True, exist_ok=True)
    self._take_lock()
    self.write_json('config.json', config.to_dict())

  def close(self) -> None:
    """Gives the lock back."""
    if self._lock is not None:
      os.close(self._lock)
      self._lock = None

  def write_json(self, name: str, value: Any) -> None:
    """Writes a file in one step: a kill leaves the old one or the new one."""
    self.write_text(name, json.dumps(value, indent=2) + '\n')

  def write_text(self, name: str, text: str) -> None:
    """Writes a text file in one step."""
    target = self.path / name
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + '.partial')
    with open(partial, 'w', encoding='utf-8') as file:
      file.write(text)
      file.flush()
      os.fsync(file.fileno())
    os.replace(partial, target)

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

  def _take_lock(self) -> None:
    lock = os.open(self.path / '.lock', os.O_CREAT | os.O_RDWR)
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      os.close(lock)
      raise UserError(
          f'workdir {self.path}: another process is using it; allowed is one'
          ' process at a time'
      ) from error
    self._lock = lock


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


def _flat(values: Any, prefix: str = '') -> dict[str, Any]:
  """Dotted field names to values."""
  flat: dict[str, Any] = {}
  for name, value in values.items():
    if isinstance(value, dict):
      flat |= _flat(value, f'{prefix}{name}.')
    else:
      flat[prefix + name] = list(value) if isinstance(value, tuple) else value
  return flat
