"""TensorBoard scalars of a search and of trainings.

TensorBoard's event files, whose loss stops nothing.

tensorboardX writes in a thread of its own. A full disk or an upload that fails
would end that thread, and later values would then wait forever.
"""

import os
from collections.abc import Mapping
from typing import Any

import tensorboardX
from absl import logging
from etils import epath
from tensorboardX import record_writer

from layernas.search import Search
from layernas.search import Trial

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


register()


class Scalars:
  """Writes event files below one directory; one run per name."""

  def __init__(self, directory: epath.PathLike):
    """Names the directory; event files are made when first written.

    Args:
      directory: for TensorBoard's --logdir.
    """
    self._directory = epath.Path(directory)
    self._writers: dict[str, Any] = {}

  def write(self, run: str, step: int, values: Mapping[str, float]) -> None:
    """Writes values of one step.

    Args:
      run: name of the curve's run, such as 'search' or 'trials/000003'.
      step: on the horizontal axis.
      values: tag to number.
    """
    if run not in self._writers:
      self._writers[run] = tensorboardX.SummaryWriter(
          log_directory(self._directory / run)
      )
    for tag, value in values.items():
      self._writers[run].add_scalar(tag, value, step)

  def trial(self, trial: Trial, search: Search) -> None:
    """Writes reward, cost and best so far of a finished trial."""
    values = {
        'cost': trial.candidate.cost,
        'layer': trial.candidate.layer,
        'seconds': trial.evaluation.seconds,
    }
    if trial.ok:
      values['reward'] = trial.evaluation.reward
    if trial.evaluation.early_reward is not None:
      values['early_reward'] = trial.evaluation.early_reward
    if search.best:
      values['best'] = search.best.evaluation.reward
    self.write('search', trial.candidate.id, values)

  def close(self, run: str = '') -> None:
    """Closes the event files of one run, or of all."""
    for name in [run] if run else list(self._writers):
      if name in self._writers:
        self._writers.pop(name).close()
