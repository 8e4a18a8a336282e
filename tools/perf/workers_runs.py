"""A case of tools/perf/workers.py with every number of workers."""

from collections.abc import Sequence
from typing import Any

from layernas.search import Search
from tools.perf.next_layer import NextLayer
from tools.perf.virtual_workers import Ahead
from tools.perf.virtual_workers import Timeline
from tools.perf.virtual_workers import VirtualWorkers
from tools.perf.workers_cases import Case
from tools.perf.workers_cases import Times
from tools.perf.workers_cases import search_of
from tools.perf.workers_cases import task_of
from tools.perf.workers_report import OVERLAPS
from tools.perf.workers_report import SHOWN

_FORESEEN = ('sweep', 'recentred')
"""Schedules whose next layer follows from the tables."""


def case_runs(
    case: Case, times: Times, counts: Sequence[int]
) -> dict[str, Any]:
  """Simulates a case.

  Args:
    case: that is searched.
    times: of trainings.
    counts: of workers, 1 first.

  Returns:
    JSON types: facts of the search, and by overlap and number of workers what
    is kept of a run.
  """
  task = task_of(case, times)
  overlaps = OVERLAPS if case.schedule in _FORESEEN else OVERLAPS[:1]
  runs: dict[str, dict[str, Any]] = {overlap: {} for overlap in overlaps}
  alone = None
  for overlap in overlaps:
    for count in counts:
      search = search_of(case)
      timeline = VirtualWorkers(
          search, task, count, times.start, times.hidden,
          _ahead(overlap, search),
      ).run()
      alone = alone or timeline
      runs[overlap][str(count)] = _figures(timeline, alone)
  return {
      'config': case.config, 'schedule': case.label,
      'candidates': len(search.trials),
      'generations': len(alone.generations),
      'runs': runs,
  }


def _ahead(overlap: str, search: Search) -> Ahead | None:
  if overlap == 'none':
    return None
  return NextLayer(search, leading=overlap == 'leading')


def _figures(timeline: Timeline, alone: Timeline) -> dict[str, Any]:
  """What is kept of a run; shares are of the time of all its workers."""
  whole = timeline.workers * timeline.makespan
  parts = ('training', 'starting', 'wasted', 'spare', 'barriers', 'tail')
  shares = {part: getattr(timeline, part) / whole for part in parts}
  figures = {
      'makespan': timeline.makespan,
      'speed_up': alone.makespan / timeline.makespan,
      'efficiency': alone.makespan / whole,
      # Of a search that waits at barriers, whoever takes which candidate.
      'bound': alone.makespan / timeline.shortest,
      **shares,
  }
  rounded = {name: round(value, 4) for name, value in figures.items()}
  if timeline.workers in SHOWN:
    rounded['idle_by_layer'] = _idle_by_layer(timeline)
  return rounded


def _idle_by_layer(timeline: Timeline) -> dict[str, float]:
  """Share of all idle workers' time, by the layer that was decided."""
  idle: dict[int, float] = {}
  for one in timeline.generations:
    idle[one.layer] = idle.get(one.layer, 0) + one.spare + one.waiting
  whole = timeline.workers * timeline.makespan
  return {
      str(layer): round(time / whole, 4) for layer, time in sorted(idle.items())
  }
