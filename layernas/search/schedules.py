"""Schedules by name: the registered ones, and any `module:function`.

A schedule is made by a callable that takes its settings as keyword arguments
and returns a `Strategy`, which most are themselves. The settings of a
registered one are fields of the config section `search` (those of `visit` and
`guided` too); a schedule of your own is given `search.settings`.
"""

from collections.abc import Mapping
from typing import Any

from layernas import lookup
from layernas.errors import UserError
from layernas.search.finalists import Finalists
from layernas.search.space import parse_architecture_id
from layernas.search.strategy import Strategy
from layernas.search.warm_start import COLD
from layernas.search.warm_start import Enqueued
from layernas.search.warm_start import WarmStart

SCHEDULES: lookup.Registry = {
    'sweep': 'layernas.search.sweep:Sweep',
    'interleaved': 'layernas.search.interleaved:Interleaved',
    'recentred': 'layernas.search.sweep:Recentred',
    'model_guided': 'layernas.search.model_guided:ModelGuided',
}
"""Registered schedules, imported when they are needed."""


def make_schedule(name: str = 'model_guided', **settings: Any) -> Strategy:
  """Makes a schedule.

  Args:
    name: a key of `SCHEDULES`, or 'module:function'.
    **settings: settings of that schedule, such as `buckets=10, keep=2` of a
      sweep; they are the attributes of its class.

  Returns:
    A schedule that has not begun.

  Raises:
    UserError: there is no such schedule or setting.
  """
  return named_strategy(
      'search.schedule', name, SCHEDULES, 'search.settings', settings
  )


def named_strategy(
    field: str, name: str, registered: lookup.Registry, settings_field: str,
    settings: Mapping[str, Any],
) -> Strategy:
  """Makes a strategy by name.

  Args:
    field: config field that names it, for errors.
    name: a key of `registered`, or 'module:function'.
    registered: names and callables.
    settings_field: config field that has the settings, for errors.
    settings: keyword arguments of the callable.

  Returns:
    A strategy that has not begun.

  Raises:
    UserError: there is no such strategy or setting.
  """
  function = lookup.find(field, name, registered)
  strategy = lookup.call(function, settings_field, settings)
  if not isinstance(strategy, Strategy):
    raise lookup.unfit(
        field, name, strategy, 'a layernas.search.strategy.Strategy'
    )
  return strategy


def with_finalists(strategy: Strategy, share: float) -> Strategy:
  """The strategy, with repeats of its finalists unless the share is 0.

  Args:
    strategy: a strategy that has not begun.
    share: share of the budget, see `Finalists`.

  Returns:
    The strategy that searches.

  Raises:
    UserError: the share is wrong, or the strategy repeats by itself.
  """
  if share and strategy.repeats:
    raise UserError(
        f'search.finalists: {share}: allowed is 0 where a reward model decides'
        ' on repeats (search.guided.trainings)'
    )
  return Finalists(strategy, share) if share else strategy


def configured_schedule(
    search: Any, warm: WarmStart = COLD
) -> Strategy:
  """Makes the schedule that a config section describes.

  Args:
    search: a ConfigDict with the fields of the section `search` in
      configs/default.py.
    warm: the warm start. A schedule without a field `start` proposes that
      network first.

  Returns:
    A schedule that has not begun.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  settings, first = _settings(search), warm.first
  if warm.start and takes_start(search):
    settings['start'] = warm.start
  elif warm.start:
    first = tuple(dict.fromkeys([parse_architecture_id(warm.start), *first]))
  schedule = make_schedule(search.schedule, **settings)
  if first:
    schedule = Enqueued(schedule, first)
  return with_finalists(schedule, search.finalists)


def takes_start(search: Any) -> bool:
  """Whether undecided layers of a schedule start at `search.start`.

  Args:
    search: as in `configured_schedule`.

  Returns:
    False for a schedule of the user's own, which has its own settings.
  """
  own = search.schedule not in SCHEDULES
  return not own and 'start' in _settings(search)


def _settings(search: Any) -> dict[str, Any]:
  """Keyword arguments that a config section has for its schedule."""
  own = {**search, **search.visit, **search.guided}
  for name in ('buckets', 'keep'):
    if not own[name]:
      del own[name]
  return lookup.settings_of(
      'search.schedule', search.schedule, SCHEDULES, search.settings, own
  )
