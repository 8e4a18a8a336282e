"""Counts what XLA compiles in this process."""

import threading
from typing import Any

from jax import monitoring

_ASKED = '/jax/core/compile/backend_compile_duration'
_FOUND = '/jax/compilation_cache/cache_hits'

_lock = threading.Lock()
_compiled = 0


def compilations() -> int:
  """Programs compiled since this module was imported.

  One that was found in the cache on disk does not count; one that a thread is
  taking from there counts for that moment.
  """
  return _compiled


def _asked(event: str, seconds: float, **details: Any) -> None:
  del seconds, details
  if event == _ASKED:
    _add(1)


def _found(event: str, **details: Any) -> None:
  del details
  if event == _FOUND:
    _add(-1)


def _add(number: int) -> None:
  global _compiled  # noqa: PLW0603
  with _lock:
    _compiled += number


monitoring.register_event_duration_secs_listener(_asked)
monitoring.register_event_listener(_found)
