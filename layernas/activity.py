"""What a run is doing while nothing else is printed.

Whatever takes seconds says so here, in any part of the package and any thread.
A run that has a console shows it; elsewhere, as in a worker, it goes nowhere.
"""

import contextlib
import threading
from collections.abc import Callable
from collections.abc import Iterator

_PATIENCE = 1.0
"""Seconds before something that may be quick is mentioned."""

_writers: list[Callable[[str], None]] = []


@contextlib.contextmanager
def shown(write: Callable[[str], None]) -> Iterator[None]:
  """Shows what goes on while the block runs.

  Args:
    write: is called with each line, perhaps in another thread.

  Yields:
    Nothing.
  """
  _writers.append(write)
  try:
    yield
  finally:
    _writers.remove(write)


def say(what: str) -> None:
  """Shows a line.

  Args:
    what: begins now, such as 'building kernels'.
  """
  for write in _writers[-1:]:
    write(what)


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
  """Shows a line where the block takes more than a second.

  Args:
    what: the block does.

  Yields:
    Nothing.
  """
  timer = threading.Timer(_PATIENCE, say, [what])
  timer.daemon = True
  timer.start()
  try:
    yield
  finally:
    timer.cancel()
