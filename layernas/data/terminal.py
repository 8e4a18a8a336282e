"""Keeps what C and C++ libraries write away from the terminal.

TensorFlow logs notes on the processor as it is imported and first used, and
libjpeg and libpng write of their own accord, to standard error: between the
lines of a progress bar.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

_LOG_LINE = re.compile(
    rb'[IWE]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] '
    rb'|WARNING: All log messages before absl::InitializeLog'
)


@contextlib.contextmanager
def without_log_lines() -> Iterator[None]:
  """Drops log lines of TensorFlow's kind from standard error.

  All else that comes meanwhile is written when the block ends.
  """
  with _captured() as lines:
    yield
  for line in lines:
    if not _LOG_LINE.match(line):
      sys.stderr.write(line.decode(errors='replace'))


@contextlib.contextmanager
def without_library_output() -> Iterator[None]:
  """Drops all that is written to standard error: an exception says it too."""
  with _captured():
    yield


@contextlib.contextmanager
def _captured() -> Iterator[list[bytes]]:
  """Fills a list, when the block ends, with the lines on standard error."""
  lines: list[bytes] = []
  try:
    kept = os.dup(2)
  except OSError:  # It is closed: there is nothing to keep clean.
    yield lines
    return
  with tempfile.TemporaryFile() as file, os.fdopen(kept, 'wb'):
    _flush()
    os.dup2(file.fileno(), 2)
    try:
      yield lines
    finally:
      _flush()
      os.dup2(kept, 2)
      file.seek(0)
      lines += file.readlines()


def _flush() -> None:
  # In notebooks and under test runners it is another object, or None.
  if sys.stderr is not None:
    sys.stderr.flush()
