"""Steps of several programs, measured in turns."""

import statistics
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

_SLOW = 2.0
"""Seconds of a step from which on one round has to do."""

_PAUSE = 0.03
"""Seconds in which waiting threads of the other library fall asleep."""


def measure_in_turns(
    steps: Mapping[str, Callable[[], None]], rounds: int, repeats: int
) -> dict[str, Any]:
  """Measures steps; each is called once before.

  Args:
    steps: 'ours' and others by name; others that are slow are measured in the
      first round only.
    rounds: in which all take turns.
    repeats: calls that are timed in a round, after one that is not.

  Returns:
    'milliseconds' of a step, and 'ratios' to ours within a round: quartiles.
  """
  for step in steps.values():
    step()
  measured: list[dict[str, float]] = []
  slow: set[str] = set()
  for _ in range(rounds):
    found = {}
    for name in steps.keys() - slow:
      found[name] = _milliseconds(steps[name], repeats)
      if found[name] > 1e3 * _SLOW and name != 'ours':
        slow.add(name)
    measured.append(found)
  return {
      'milliseconds': {
          name: quartiles([
              found[name] for found in measured if name in found
          ])
          for name in steps
      },
      'ratios': {
          f'{name}/ours': quartiles([
              found[name] / found['ours'] for found in measured if name in found
          ])
          for name in steps if name != 'ours'
      },
  }


def _milliseconds(step: Callable[[], None], repeats: int) -> float:
  """Of a step, after one that is not timed."""
  time.sleep(_PAUSE)
  begun = time.perf_counter()
  step()
  if time.perf_counter() - begun > _SLOW:
    return 1e3 * (time.perf_counter() - begun)
  begun = time.perf_counter()
  for _ in range(repeats):
    step()
  return 1e3 * (time.perf_counter() - begun) / repeats


def quartiles(values: Sequence[float]) -> list[float]:
  """First quartile, median and third quartile, rounded."""
  if len(values) == 1:
    values = [*values, *values]
  return [
      round(value, 3)
      for value in statistics.quantiles(values, n=4, method='inclusive')
  ]
