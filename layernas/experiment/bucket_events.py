"""TensorBoard's event files on gs://.

tensorboardX has a writer of its own for gs://. An upload that fails ends the
thread which it writes in, and later values then wait forever.
"""

from absl import logging
from etils import epath
from tensorboardX import record_writer


class BucketEvents:
  """An event file that is uploaded whole whenever it is flushed."""

  def __init__(self, path: str):
    """Begins an empty file.

    Args:
      path: on gs://.
    """
    self._path = epath.Path(path)
    self._events = bytearray()

  def write(self, data: bytes) -> None:
    """Adds to what the next flush uploads."""
    self._events += data

  def flush(self) -> None:
    """Uploads; a failure is a warning, and the next flush makes up for it."""
    try:
      self._path.write_bytes(bytes(self._events))
    except Exception as error:  # Of gcsfs, of aiohttp, of google-auth.
      logging.warning(
          '%s was not uploaded (%s: %s)', self._path, type(error).__name__,
          error,
      )

  def close(self) -> None:
    """Uploads for the last time."""
    self.flush()


class _Factory:
  """What tensorboardX asks for files."""

  def directory_check(self, path: str) -> None:
    """Buckets have no directories to make."""

  def open(self, path: str) -> BucketEvents:
    """A file that does not exist yet."""
    return BucketEvents(path)


def register() -> None:
  """Makes tensorboardX write paths on gs:// through `BucketEvents`."""
  record_writer.register_writer_factory('gs', _Factory())
