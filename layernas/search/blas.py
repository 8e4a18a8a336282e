"""Linear algebra on one thread: small matrices only lose time on more.

OpenBLAS and MKL wake all cores for every product. On a busy machine that takes
many times the processor time, and results differ in their last bits with the
number of threads.
"""

import contextlib
import functools
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

_LOCK = threading.Lock()
# How many are within `one_thread`, and what sets back the number of threads.
_INSIDE: list[contextlib.ExitStack] = []


@functools.cache
def _limit() -> Callable[[], contextlib.AbstractContextManager[Any]]:
  """Limits the libraries that NumPy has loaded; none without threadpoolctl."""
  try:
    import threadpoolctl  # noqa: PLC0415
  except ImportError:
    return contextlib.nullcontext
  # Looking for the libraries takes milliseconds.
  libraries = threadpoolctl.ThreadpoolController().select(user_api='blas')
  return lambda: libraries.limit(limits=1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
  """A context, and a decorator, in which linear algebra takes one thread.

  The number of threads is the process's: it is set back when the last Python
  thread leaves. Without the package threadpoolctl nothing is limited.
  """
  with _LOCK:
    stack = contextlib.ExitStack()
    if not _INSIDE:
      stack.enter_context(_limit()())
    _INSIDE.append(stack)
  try:
    yield
  finally:
    with _LOCK:
      # The first one, which holds the limit, goes last.
      _INSIDE.pop().close()
