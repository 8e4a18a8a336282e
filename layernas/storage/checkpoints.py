"""Checkpoints that survive a kill and a damaged file, on top of orbax."""

import asyncio.log
import functools
import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from etils import epath

from layernas.errors import UserError
from layernas.storage.files import file_store

_OWN_FILES = 64 << 10
"""Bytes that orbax's own files take beside what is saved, about."""


class Checkpoints:
  """Numbered checkpoints of a JSON record and, optionally, a tree of arrays.

  A save is atomic: a kill in the middle of it leaves the one before. Where the
  newest cannot be read, `restore` says so, sets it aside and takes the one
  before. Where several processes run, only the one that opens the directory
  takes part.
  """

  def __init__(
      self, directory: epath.PathLike, keep: int = 2, with_tree: bool = True
  ):
    """Opens or creates a directory.

    Args:
      directory: absolute or relative path, or a gs:// one.
      keep: how many checkpoints stay.
      with_tree: whether each holds a tree beside its record.
    """
    _hush()
    self._directory = epath.Path(directory)
    if '://' not in str(directory):
      self._directory = self._directory.resolve()
    self._with_tree = with_tree
    alone = _this_process_alone()
    self._options = ocp.CheckpointManagerOptions(
        max_to_keep=keep,
        create=False,
        cleanup_tmp_directories=True,
        enable_async_checkpointing=with_tree,
        multiprocessing_options=alone,
    )
    self._handlers = {
        'record': ocp.JsonCheckpointHandler(multiprocessing_options=alone),
        'tree': ocp.StandardCheckpointHandler(multiprocessing_options=alone),
    }
    if not with_tree:
      del self._handlers['tree']
    self._manager = self._open()

  def save(self, step: int, record: Any, tree: Any = None) -> None:
    """Saves; the arrays may still be written in the background.

    Args:
      step: number of the checkpoint, larger than all before.
      record: JSON types.
      tree: arrays of any dtype; needed where `with_tree`.

    Raises:
      OSError: the disk has no room for it.
    """
    tree = jax.tree.map(np.asarray, tree)
    arrays = sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
    # Where a disk turns out to be full in the middle of it, the libraries print
    # pages before they raise.
    file_store(self._directory).check_room(
        self._directory, arrays + len(json.dumps(record)) + _OWN_FILES
    )
    items = {'record': ocp.args.JsonSave(record)}
    if self._with_tree:
      items['tree'] = ocp.args.StandardSave(tree)
    self._manager.save(step, args=ocp.args.Composite(**items))

  def restore(
      self, template: Any = None, check: Callable[[Any], None] | None = None
  ) -> tuple[Any, Any] | None:
    """Reads the newest checkpoint that can be read.

    Args:
      template: tree of the shapes and dtypes that are expected.
      check: called with a record before its tree is read; raises UserError
        where the record shows that the tree is another than expected.

    Returns:
      (record, tree of NumPy arrays or None), or None where none can be read.

    Raises:
      UserError: that of `check`; nothing is set aside then.
    """
    steps = sorted(self._manager.all_steps(), reverse=True)
    found = None
    unreadable = []
    for step in steps:
      try:
        found = self._read(step, template, check)
        break
      except UserError:
        raise
      except Exception as error:  # Whatever a damaged file makes orbax raise.
        unreadable.append(step)
        logging.warning(
            'checkpoint %s cannot be read (%s): set aside, trying the one'
            ' before', self._directory / str(step), _first_line(error),
        )
    self._set_aside(unreadable)
    return found

  def _set_aside(self, steps: list[int]) -> None:
    """Moves unreadable checkpoints out of the way of new ones."""
    if not steps:
      return
    self._manager.close()
    aside = self._directory.parent / f'{self._directory.name}_unreadable'
    for step in steps:
      target = aside / str(step)
      if target.exists():
        target.rmtree()
      file_store(target).move(self._directory / str(step), target)
    self._manager = self._open()

  def close(self) -> None:
    """Waits for the last save."""
    try:
      self._manager.wait_until_finished()
    finally:
      self._manager.close()

  def _open(self) -> ocp.CheckpointManager:
    self._directory.mkdir(parents=True, exist_ok=True)
    return ocp.CheckpointManager(
        self._directory, options=self._options, item_handlers=self._handlers
    )

  def _read(
      self, step: int, template: Any, check: Callable[[Any], None] | None
  ) -> tuple[Any, Any]:
    record = self._read_item(step, 'record', ocp.args.JsonRestore())
    if check:
      check(record)
    if not self._with_tree:
      return record, None
    tree = ocp.args.StandardRestore(jax.tree.map(np.asarray, template))
    return record, self._read_item(step, 'tree', tree)

  def _read_item(self, step: int, name: str, args: Any) -> Any:
    args = ocp.args.Composite(**{name: args})
    return self._manager.restore(step, args=args)[name]


@functools.cache
def _hush() -> None:
  """Keeps pages of tracebacks off standard error.

  Where the first array of a save or a restore fails, orbax raises that and
  closes its event loop: TensorStore's answers on all other arrays find it
  closed, and nobody asks for their exceptions. What goes wrong in its threads
  it logs, and raises as well.
  """
  before = sys.unraisablehook

  def hook(unraisable: Any) -> None:
    late = isinstance(unraisable.exc_value, RuntimeError) and (
        str(unraisable.exc_value) == 'Event loop is closed'
    )
    if not late:
      before(unraisable)

  sys.unraisablehook = hook
  # Tracebacks that its own files log; not its warnings.
  logging.get_absl_logger().addFilter(
      lambda record: not ('orbax' in record.pathname and record.exc_info)
  )
  asyncio.log.logger.addFilter(
      lambda record: 'orbax' not in str(record.msg)
  )


def _this_process_alone() -> ocp.options.MultiprocessingOptions:
  """Orbax's barriers would wait for processes that do not save."""
  if jax.process_count() == 1:
    return ocp.options.MultiprocessingOptions()
  index = jax.process_index()
  return ocp.options.MultiprocessingOptions(
      primary_host=index, active_processes={index},
      barrier_sync_key_prefix=f'process{index}',
  )


def _first_line(error: Exception) -> str:
  lines = str(error).strip().splitlines()
  return f'{type(error).__name__}: {lines[0] if lines else ""}'[:200]
