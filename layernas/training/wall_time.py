"""Where the wall time of a candidate goes."""

import contextlib
import time
from collections.abc import Iterator

PHASES = ('compile', 'train', 'evaluate', 'save', 'other')
"""What time is spent in. 'compile' is what is waited for: compiling that runs
beside a training costs nothing here."""


class WallTime:
  """Splits the time since it was made over phases.

  A phase inside another takes its time away from the outer one; what is in no
  phase is 'other'. On an accelerator steps run after their calls: what is still
  under way at the end of a phase counts for the one that waits for it.
  """

  def __init__(self) -> None:
    """Starts the clock."""
    self._seconds = dict.fromkeys(PHASES, 0.0)
    self._phase = 'other'
    self._since = time.monotonic()

  @contextlib.contextmanager
  def spent_on(self, phase: str) -> Iterator[None]:
    """Counts the time inside.

    Args:
      phase: one of `PHASES`.
    """
    outer = self._turn_to(phase)
    try:
      yield
    finally:
      self._turn_to(outer)

  def seconds(self) -> dict[str, float]:
    """Seconds so far by phase; their sum is the time since the beginning."""
    self._turn_to(self._phase)
    return dict(self._seconds)

  def _turn_to(self, phase: str) -> str:
    """Begins a phase; returns the one before."""
    before, now = self._phase, time.monotonic()
    self._seconds[before] += now - self._since
    self._phase, self._since = phase, now
    return before
