"""What a person sees while a study runs."""

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn

# Seconds between lines where there is no terminal for a bar.
_INTERVAL = 15


class StudyProgress:
  """A bar of finished runs with ETA; a context.

  Without a terminal a line now and then takes the bar's place.
  """

  def __init__(self, console: Console, finished: int, total: int):
    """Prepares.

    Args:
      console: to print on.
      finished: runs done before.
      total: runs in all.
    """
    self._console = console
    self._finished = self._before = finished
    self._total = total
    self._begun = self._printed = time.monotonic()
    self._bar = Progress(
        TextColumn('runs'), BarColumn(bar_width=30), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn('ETA'), TimeRemainingColumn(),
        console=console, disable=not console.is_terminal,
    )
    self._task = self._bar.add_task('runs', total=total, completed=finished)

  def __enter__(self) -> Self:
    self._bar.start()
    return self

  def __exit__(self, *error: object) -> None:
    self._bar.stop()

  def advance(self, runs: int) -> None:
    """Shows that some more runs have finished."""
    self._finished += runs
    self._bar.update(self._task, completed=self._finished)
    now = time.monotonic()
    if self._console.is_terminal or now < self._printed + _INTERVAL:
      return
    self._printed = now
    rate = (now - self._begun) / (self._finished - self._before)
    left = rate * (self._total - self._finished)
    self._console.print(
        f'{self._finished:,} of {self._total:,} runs, about {left:.0f} s left'
    )
