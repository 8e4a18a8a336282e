"""An evaluator that sleeps in place of training, for what executors cost."""

import time
from collections.abc import Mapping
from typing import Any

from layernas.executors.executor import Evaluated
from layernas.executors.executor import Report
from layernas.search import Evaluation

NAME = 'tools.perf.sleeping:sleeping'
"""Where workers find it."""


class Sleeping:
  """Evaluates every candidate in the same time; a context."""

  def __init__(self, seconds: float = 0.0):
    """Prepares.

    Args:
      seconds: of a candidate.
    """
    self._seconds = seconds

  def prepare(self, architectures: Any) -> None:
    """Does nothing."""

  def __call__(self, candidate: Any, hopeless: Any) -> Evaluated:
    """Sleeps."""
    del candidate, hopeless
    if self._seconds:  # Even no time at all would take some.
      time.sleep(self._seconds)
    return Evaluated(Evaluation(0.0))

  def __enter__(self) -> 'Sleeping':
    return self

  def __exit__(self, *error: object) -> None:
    pass


def sleeping(settings: Mapping[str, Any], report: Report) -> Sleeping:
  """What evaluates in a worker.

  Args:
    settings: 'seconds' of a candidate.
    report: not called.
  """
  del report
  return Sleeping(settings['seconds'])


class Deaf:
  """A listener that hears nothing."""

  def began(self, *values: Any) -> None:
    """Does nothing."""

  def stepped(self, *values: Any) -> None:
    """Does nothing."""

  def trouble(self, *values: Any) -> None:
    """Does nothing."""

  def hopeless(self, *values: Any) -> bool:
    """Nothing is."""
    del values
    return False
