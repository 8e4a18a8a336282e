"""The tables of docs/scale.md that tools/perf/executors.py measures."""

import json
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

EARLY, LATE = 30, 300
"""Networks between which memory is compared."""


def report(output: pathlib.Path) -> str:
  """All tables whose results are stored.

  Args:
    output: directory of the results.

  Returns:
    Markdown.
  """
  tables = {
      'overhead': overhead, 'speedup_24': speedup, 'speedup_60': speedup,
      'memory': memory,
  }
  return '\n\n'.join(
      table(json.loads((output / f'{name}.json').read_text()))
      for name, table in tables.items() if (output / f'{name}.json').exists()
  )


def overhead(found: dict[str, Any]) -> str:
  """Milliseconds of a trial by executor."""
  rows = [
      (name, f'{statistics.median(values):.3f}', _range(values, 3))
      for name, values in found['milliseconds'].items()
  ]
  return _table(('executor', 'ms a trial', 'rounds'), rows)


def speedup(found: dict[str, Any]) -> str:
  """Seconds of a search, and how much faster workers are."""
  seconds = found['seconds']
  ratios = [
      one / other
      for one, other in zip(*seconds.values(), strict=True)
  ]
  rows = [
      (name, f'{statistics.median(values):.1f}', _range(values, 1))
      for name, values in seconds.items()
  ]
  rows.append((
      'inline / processes', f'{statistics.median(ratios):.2f}',
      _range(ratios, 2),
  ))
  return _table(
      (f'search of {found["trials"]} trials', 'seconds', 'rounds'), rows
  )


def memory(found: dict[str, Any]) -> str:
  """Resident MiB after few and after many networks."""
  early, late = (found['after'].index(count) for count in (EARLY, LATE))
  rows = []
  for name in ('driver', 'worker'):
    values = found[f'{name}_mib']
    rows.append((
        name, f'{values[early]:,.0f}', f'{values[late]:,.0f}',
        f'{values[late] / values[early]:.2f}',
    ))
  headings = ('process', f'MiB after {EARLY}', f'after {LATE}', 'ratio')
  return _table(headings, rows)


def _range(values: Sequence[float], digits: int) -> str:
  return f'{min(values):.{digits}f} to {max(values):.{digits}f}'


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """A Markdown table, numbers to the right."""
  lines = [headings, ['---', *['---:'] * (len(headings) - 1)], *rows]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
