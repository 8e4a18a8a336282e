"""Whatever may take long says so at once: tests wait for nothing."""

import types
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from unittest import mock

from layernas import activity


class _Timer:
  """Calls its function where a timer would begin to wait."""

  daemon = False

  def __init__(
      self, seconds: float, function: Callable[..., None],
      arguments: Sequence[object],
  ):
    del seconds
    self.start = lambda: function(*arguments)

  def cancel(self) -> None:
    """There is nothing that waits."""


@contextmanager
def without_waiting() -> Iterator[None]:
  """Has `activity.doing` show its line at once while the block runs."""
  impatient = types.SimpleNamespace(Timer=_Timer)
  with mock.patch.object(activity, 'threading', impatient):
    yield
