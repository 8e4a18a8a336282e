"""Schedules by name."""

from typing import Any

from layernas.errors import UserError
from layernas.search.finalists import Finalists
from layernas.search.interleaved import Interleaved
from layernas.search.interleaved import VisitSettings
from layernas.search.layer_pass import TableSettings
from layernas.search.model_based import GuidedSettings
from layernas.search.model_based import ModelBased
from layernas.search.model_guided import ModelGuided
from layernas.search.strategy import Strategy
from layernas.search.sweep import PassSettings
from layernas.search.sweep import Recentred
from layernas.search.sweep import Sweep

LAYERWISE = ('sweep', 'interleaved', 'recentred')
"""Schedules whose layer tables hold trained networks."""

SCHEDULES = (*LAYERWISE, 'model_guided')


def make_schedule(
    name: str = 'sweep', settings: PassSettings = PassSettings(),
    visit: VisitSettings = VisitSettings(),
    guided: GuidedSettings = GuidedSettings(),
) -> Strategy:
  """Makes a schedule.

  Args:
    name: one of `SCHEDULES`.
    settings: of its passes.
    visit: of the visits of `interleaved`; the others have none.
    guided: of the rounds of `model_guided`, which takes of `settings` the
      tables only.

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
  if name == 'model_guided':
    return ModelGuided(settings.tables, guided)
  raise UserError(f'search.schedule: {name!r}: allowed are {list(SCHEDULES)}')


def with_finalists(strategy: Strategy, share: float) -> Strategy:
  """The strategy, with repeats of its finalists unless the share is 0.

  Args:
    strategy: that has not begun.
    share: of the budget, see `Finalists`.

  Returns:
    The strategy that searches.

  Raises:
    UserError: the share is wrong, or the strategy repeats by itself.
  """
  if share and isinstance(strategy, ModelBased):
    raise UserError(
        f'search.finalists: {share}: allowed is 0 where a reward model decides'
        ' on repeats (search.guided.trainings)'
    )
  return Finalists(strategy, share) if share else strategy


def configured_schedule(search: Any) -> Strategy:
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
  guided = GuidedSettings(
      search.guided.design, search.guided.batch,
      tuple(search.guided.optimism), search.guided.trainings,
  )
  schedule = make_schedule(search.schedule, settings, visit, guided)
  return with_finalists(schedule, search.finalists)
