"""The directory of one run: what lies where, and whose config it is."""

import contextlib
import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

from absl import logging
from etils import epath
from ml_collections import config_dict

from layernas.errors import UserError
from layernas.storage import resuming
from layernas.storage.files import file_store
from layernas.storage.resuming import SEARCH
from layernas.storage.resuming import Input
from layernas.storage.storage_errors import gone
from layernas.storage.storage_errors import in_one_line
from layernas.storage.storage_errors import usable

_CONFIG = 'config.json'
"""File of every workdir."""

_INPUTS = 'inputs.json'
"""Digests of what the config only names."""


class Workdir:
  """Files of a run, on a local disk or on gs://.

  Only one process at a time may write them; on a local disk a lock sees to it,
  on gs:// a warning is all there is.

  Attributes:
    path: of the directory.
  """

  def __init__(self, path: epath.PathLike, rules: resuming.Rules = SEARCH):
    """Names a directory; makes nothing.

    Args:
      path: local, or gs://BUCKET/DIRECTORY.
      rules: what of the config may differ when the run is resumed.
    """
    self.path = epath.Path(path)
    self._rules = rules
    self._store = file_store(self.path)
    self._give_back: Callable[[], None] | None = None
    self._is_open = False

  def open(
      self, config: config_dict.ConfigDict,
      inputs: Iterable[Input] | None = None, kept: bool = True,
  ) -> None:
    """Makes the directory, or checks that it is a run of the same config.

    Args:
      config: of the run; is written to config.json.
      inputs: what the config only names; is written to inputs.json. None
        leaves that file alone.
      kept: whether the run keeps results that are there, so that config and
        inputs have to be the same.

    Raises:
      UserError: it belongs to another config or to other inputs, another
        process uses it, or it cannot be reached; nothing has been written.
    """
    with usable(self.path):
      self._open(config, inputs, kept)
    self._is_open = True

  def _open(
      self, config: config_dict.ConfigDict, inputs: Iterable[Input] | None,
      kept: bool,
  ) -> None:
    self._store.check(self.path)
    if self.path.exists() and not self.path.is_dir():
      raise UserError(f'workdir {self.path}: allowed is a directory')
    given = None if inputs is None else list(inputs)
    recorded = self._check_same(config, given or []) if kept else {}
    self._give_back = self._store.take(self.path)
    try:
      self._store.write(self.path / _CONFIG, _text(config.to_dict()).encode())
      if given is not None:
        # Of a study whose benchmarks are fewer for once, all are remembered.
        text = _text(recorded | resuming.inputs_to_dict(given))
        self._store.write(self.path / _INPUTS, text.encode())
    except BaseException:
      self.close()
      raise

  @contextlib.contextmanager
  def opened(
      self, config: config_dict.ConfigDict,
      inputs: Iterable[Input] | None = None, kept: bool = True,
  ) -> Iterator[None]:
    """Opens and closes it; what its disk is to blame for is one line.

    Args:
      config: as for `open`.
      inputs: as for `open`.
      kept: as for `open`.

    Raises:
      UserError: as of `open`.
      StorageError: the disk is full, read-only or gone.
    """
    with in_one_line(self.path):
      self.open(config, inputs, kept)
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

  def _check_same(
      self, config: config_dict.ConfigDict, inputs: list[Input]
  ) -> dict[str, Any]:
    """Compares config and inputs; returns the inputs that are recorded."""
    where = f'workdir {self.path}'
    fields = self.read_json(_CONFIG)
    if fields is None:
      return {}
    resuming.check_config(where, fields, config.to_dict(), self._rules)
    recorded = self.read_json(_INPUTS)
    if recorded is None and inputs:
      logging.warning(
          '%s: an older version did not record its inputs (%s); they are taken'
          ' to be the same', where, ', '.join(one.name for one in inputs),
      )
    resuming.check_inputs(where, recorded or {}, inputs)
    return recorded or {}


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


def content_of(
    path: epath.PathLike
) -> contextlib.AbstractContextManager[None]:
  """Makes one line of what a search's JSON file of other content raises.

  Args:
    path: of the file that the block uses.

  Returns:
    A context, see `damage_named`.
  """
  return damage_named(f'file {path}:', 'the file as a search wrote it')


@contextlib.contextmanager
def damage_named(what: str, allowed: str) -> Iterator[None]:
  """Makes one line of what JSON of other content raises when it is used.

  Args:
    what: the file, in words that 'is damaged' follows.
    allowed: what it should be.

  Yields:
    Nothing.

  Raises:
    UserError: names the file.
  """
  try:
    yield
  except UserError:
    raise
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise UserError(
        f'{what} is damaged: {error!r}; allowed is {allowed}'
    ) from error


def _text(value: Any) -> str:
  return json.dumps(value, indent=2) + '\n'
