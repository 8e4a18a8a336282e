"""Runs a program that kills itself, as kill -9 does, inside a save.

  python tests/runs/killed_in_save.py MOMENT PATH PROGRAM [FLAGS]

PATH is the end of the path of what is saved: a numbered checkpoint, or
trials.jsonl. Moments:

  arrays         some arrays of the checkpoint are written, not all
  before_rename  the checkpoint is complete, but under its temporary name
  after_rename   it has its name, and nothing has happened since
  half_line      a line is written in part
  after_line     a line is written and on disk
"""

import json
import os
import runpy
import signal
import sys
from typing import Any

from orbax.checkpoint._src.serialization import type_handlers

_ARRAYS = 10


def _die() -> None:
  os.kill(os.getpid(), signal.SIGKILL)


def _die_in_arrays(path: str) -> None:
  handler = type_handlers.NumpyHandler
  write = handler._open_and_write
  written = 0

  async def patched(self: Any, value: Any, spec: Any, context: Any) -> None:
    nonlocal written
    await write(self, value, spec, context)
    if f'{path}.orbax-checkpoint-tmp/' in json.dumps(spec, default=str):
      written += 1
      if written == _ARRAYS:
        _die()

  handler._open_and_write = patched


def _die_at_rename(path: str, before: bool) -> None:
  rename = os.rename

  def patched(source: Any, target: Any, **named: Any) -> None:
    hit = str(target).endswith(path)
    if hit and before:
      _die()
    rename(source, target, **named)
    if hit:
      _die()

  os.rename = patched


def _die_at_line(path: str, half: bool) -> None:
  fsync = os.fsync

  def patched(descriptor: int) -> None:
    hit = os.readlink(f'/proc/self/fd/{descriptor}').endswith(path)
    if hit and half:
      os.ftruncate(descriptor, os.fstat(descriptor).st_size - 20)
    fsync(descriptor)
    if hit:
      _die()

  os.fsync = patched


_MOMENTS = {
    'arrays': _die_in_arrays,
    'before_rename': lambda path: _die_at_rename(path, before=True),
    'after_rename': lambda path: _die_at_rename(path, before=False),
    'half_line': lambda path: _die_at_line(path, half=True),
    'after_line': lambda path: _die_at_line(path, half=False),
}


if __name__ == '__main__':
  moment, saved, program, *_ = sys.argv[1:]
  _MOMENTS[moment](saved)
  sys.argv = sys.argv[3:]
  runpy.run_path(program, run_name='__main__')
