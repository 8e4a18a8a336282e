"""SIGTERM, as a preempted machine gets it: save, say so, end.

A step that is under way is finished first; where a network is being compiled or
evaluated, that is. Several processes end after the same step.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator

import jax
from jax.experimental import multihost_utils

_NOTICE = threading.Event()
_asked = 0


@contextlib.contextmanager
def listening() -> Iterator[None]:
  """Notices SIGTERM inside; to be entered in the main thread.

  Where several processes run, JAX's own notice of the signal is left in place:
  it lets them agree on a step.
  """
  if jax.process_count() > 1:
    yield
    return
  _NOTICE.clear()
  before = signal.signal(signal.SIGTERM, lambda *_: _NOTICE.set())
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, before)


def noticed() -> bool:
  """Whether to save and end now.

  Every process of a run calls this equally often; all get the same answer.
  """
  global _asked  # noqa: PLW0603
  _asked += 1
  if jax.process_count() > 1:
    return multihost_utils.reached_preemption_sync_point(_asked)
  return _NOTICE.is_set()
