"""Schedules by name."""

from typing import Any

from layernas.errors import UserError
from layernas.search.interleaved import Interleaved
from layernas.search.interleaved import VisitSettings
from layernas.search.layer_pass import TableSettings
from layernas.search.recentred import Recentred
from layernas.search.sweep import Layerwise
from layernas.search.sweep import PassSettings
from layernas.search.sweep import Sweep

SCHEDULES = ('sweep', 'interleaved', 'recentred')


def make_schedule(
    name: str = 'sweep', settings: PassSettings = PassSettings(),
    visit: VisitSettings = VisitSettings(),
) -> Layerwise:
  """Makes a layerwise schedule.

  Args:
    name: one of `SCHEDULES`.
    settings: of its passes.
    visit: of the visits of `interleaved`; the others have none.

  Returns:
    A schedule that has not begun.

  Raises:
    UserError: there is no such schedule.
  """
  if name == 'sweep':
    return Sweep(settings)
  if name == 'recentred':
    return Recentred(settings)
  if name == 'interleaved':
    return Interleaved(settings, visit)
  raise UserError(f'search.schedule: {name!r}: allowed are {list(SCHEDULES)}')


def configured_schedule(search: Any) -> Layerwise:
  """Makes the schedule that a config section describes.

  Args:
    search: with the fields of the section `search` in configs/default.py.

  Returns:
    A schedule that has not begun.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  tables = TableSettings(search.buckets, search.keep, search.spacing)
  visit = VisitSettings(
      search.visit.entries, search.visit.options, search.visit.select,
      search.visit.axis_samples,
  )
  settings = PassSettings(tables, search.start, search.order)
  return make_schedule(search.schedule, settings, visit)
