"""TensorBoard's event files, whose loss stops nothing.

tensorboardX writes in a thread of its own. A full disk or an upload that fails
would end that thread, and later values would then wait forever.
"""

import os

from absl import logging
from etils import epath
from tensorboardX import record_writer

_DISK = 'file'
"""What leads tensorboardX to `EventFile` for a path on a disk."""


class EventFile:
  """An event file that is written whole whenever it is flushed."""

  def __init__(self, path: str):
    """Begins an empty file.

    Args:
      path: on gs://, or after 'file:'.
    """
    self._path = epath.Path(path.removeprefix(f'{_DISK}:'))
    self._events = bytearray()

  def write(self, data: bytes) -> None:
    """Adds to what the next flush writes."""
    self._events += data

  def flush(self) -> None:
    """Writes; a failure is a warning, and the next flush makes up for it."""
    try:
      self._path.parent.mkdir(parents=True, exist_ok=True)
      self._path.write_bytes(bytes(self._events))
    except Exception as error:  # Of a disk, gcsfs, aiohttp, google-auth.
      logging.warning(
          '%s was not written (%s: %s)', self._path, type(error).__name__,
          error,
      )

  def close(self) -> None:
    """Writes for the last time."""
    self.flush()


class _Factory:
  """What tensorboardX asks for files."""

  def directory_check(self, path: str) -> None:
    """Directories are made when a file is written."""

  def open(self, path: str) -> EventFile:
    """A file that does not exist yet."""
    return EventFile(path)


def log_directory(path: epath.PathLike) -> str:
  """The directory as tensorboardX has to hear it.

  Args:
    path: on a disk or on gs://.

  Returns:
    A path for its SummaryWriter.
  """
  text = os.fspath(path)
  return text if '://' in text else f'{_DISK}:{text}'


def register() -> None:
  """Makes tensorboardX write through `EventFile`."""
  for prefix in ('gs', _DISK):
    record_writer.register_writer_factory(prefix, _Factory())
