"""What is drawn for a drill: its fault, and when and where it comes."""

import dataclasses
import pathlib
import random
import signal
from collections.abc import Callable
from collections.abc import Mapping

from tools.perf import damage
from tools.perf import drilled_search
from tools.perf import faulty_search

SIGNALS = {
    'driver_kill': signal.SIGKILL, 'driver_term': signal.SIGTERM,
    'worker_kill': signal.SIGKILL, 'worker_term': signal.SIGTERM,
}
DAMAGES: Mapping[str, Callable[[pathlib.Path, random.Random], str]] = {
    'newest_checkpoint': damage.truncate_newest,
    'older_checkpoint': damage.damage_older,
    'history_line': damage.damage_line,
}
_OF_WORKERS = ('worker_kill', 'worker_term', 'hang', 'memory')
"""Faults that need worker processes."""

_BEFORE_ITS_FIRST_LINE = 0.15
"""Share of the signals that come while the program starts."""


@dataclasses.dataclass(frozen=True)
class Drill:
  """What is drawn for a drill.

  Attributes:
    number: of the drill.
    fault: a name of the report's `FAULTS`.
    executor: inline or processes.
    moment: share of an undisturbed search's duration.
    early: whether it comes before the search's first line.
    candidate: whose training has the fault, where one has.
    step: of that training.
  """

  number: int
  fault: str
  executor: str
  moment: float
  early: bool
  candidate: int
  step: int

  @property
  def inside(self) -> bool:
    """Whether the fault is in a training."""
    return self.fault in faulty_search.FAULTS

  @property
  def codes(self) -> set[int]:
    """Exit codes that a run may have."""
    killed = self.fault == 'driver_kill' or self.fault in DAMAGES
    # Before the program has begun to listen, the signal ends it.
    ended = self.fault == 'driver_term' and self.early
    return {0, 2} | ({-signal.SIGKILL} if killed else set()) | (
        {-signal.SIGTERM} if ended else set()
    )


def drawn(number: int, seed: int, faults: tuple[str, ...]) -> Drill:
  """The drill of a number: faults in turn, all else at random."""
  fault = faults[number % len(faults)]
  rng = random.Random(f'{seed}-{number}')
  executor = rng.choice(('inline', 'processes'))
  return Drill(
      number, fault, 'processes' if fault in _OF_WORKERS else executor,
      rng.random(), rng.random() < _BEFORE_ITS_FIRST_LINE,
      rng.randrange(drilled_search.TRIALS),
      rng.randrange(1, drilled_search.STEPS),
  )
