"""Pictures of searches: the best so far, and reward against cost."""

import math
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from layernas.reports import charts
from layernas.reports.charts import Chart
from layernas.reports.charts import Line
from layernas.reports.charts import Mark
from layernas.reports.charts import Point
from layernas.reports.plots import cost_scale
from layernas.reports.search_view import Improvement
from layernas.reports.search_view import SearchView
from layernas.search import Trial
from layernas.search.cost import cost_text

_POINTS = 1500
"""Marks of a search at most, evenly spaced through its trials."""

_TIMES = (('hours', 3600, 7200), ('minutes', 60, 600), ('seconds', 1, 0))
"""Units of an axis, their seconds, and the seconds from which they are used."""


def curves(views: Sequence[SearchView]) -> list[Chart]:
  """Best reward so far, against trials and against time.

  Args:
    views: of the searches; those without a trial in the target are left out.

  Returns:
    Two charts for each kind of reward.
  """
  pictures = []
  for reward in dict.fromkeys(view.reward for view in views):
    drawn = [
        view for view in views if view.reward == reward and view.improvements()
    ]
    if not drawn:
      continue
    pictures.append(_curve(
        'Best so far against trials', 'finished trials', drawn,
        lambda one: one.number, lambda view: len(view.found.trials),
    ))
    whole = max(view.seconds() for view in drawn)
    unit, divisor = next(
        (unit, divisor) for unit, divisor, least in _TIMES if whole >= least
    )
    pictures.append(_curve(
        'Best so far against time', f'{unit} in trials', drawn,
        lambda one, divisor=divisor: one.seconds / divisor,
        lambda view, divisor=divisor: view.seconds() / divisor,
    ))
  return pictures


def _curve(
    title: str, label: str, views: Sequence[SearchView],
    place: Callable[[Improvement], float], end: Callable[[SearchView], float],
) -> Chart:
  """A line for each search; places across, of an improvement and of the end."""
  found = [(view, view.improvements()) for view in views]
  x = charts.across(label, map(end, views), zero=True)
  y = charts.upwards(views[0].reward, [
      one.trial.evaluation.reward for _, better in found for one in better
  ])
  lines, marks = [], []
  for view, better in found:
    points = [(place(one), one.trial.evaluation.reward) for one in better]
    path = charts.steps(x, y, points, end(view))
    lines.append(Line(path, view.kind, view.name))
    marks += [
        Mark(x.place(at), y.place(up), view.kind, view.trial_text(one.trial))
        for (at, up), one in zip(points, better, strict=True)
    ]
  return Chart(title, x, y, lines, marks)


def scatters(views: Sequence[SearchView]) -> list[Chart]:
  """Every trial, reward against cost.

  Args:
    views: of the searches; those without a reward are left out.

  Returns:
    A chart of each; searches with the same cost and reward have equal axes.
  """
  groups: dict[tuple[str, str], list[Point]] = {}
  for view in views:
    group = groups.setdefault((view.unit, view.reward), [])
    group += [
        (trial.candidate.cost, trial.evaluation.reward)
        for trial in view.found.trials if trial.ok
    ]
    # Known from another search, it may lie beside all of these.
    if answer := view.answer():
      group.append((answer.cost, answer.reward))
  return [
      _scatter(
          view, view.name if len(views) > 1 else 'Reward against cost',
          groups[view.unit, view.reward],
      )
      for view in views if any(trial.ok for trial in view.found.trials)
  ]


def _scatter(
    view: SearchView, title: str, compared: Sequence[Point]
) -> Chart:
  """The picture of a search, on axes that span all costs and rewards given."""
  costs = np.array([cost for cost, _ in compared], float)
  scale, label = cost_scale(costs, view.unit)
  x = charts.across(label, costs / scale)
  y = charts.upwards(view.reward, [reward for _, reward in compared])
  trials = [trial for trial in view.found.trials if trial.ok]
  shown = trials[::math.ceil(len(trials) / _POINTS)]
  marks = [
      Mark(
          x.place(trial.candidate.cost / scale),
          y.place(trial.evaluation.reward),
          f'{_look(view, trial)} {view.kind}', view.trial_text(trial),
      ) for trial in shown
  ]
  if answer := view.answer():
    marks.append(Mark(
        x.place(answer.cost / scale), y.place(answer.reward), 'answer',
        f'{view.name}: the answer, {answer.architecture},'
        f' {cost_text(answer.cost)} {view.unit}, reward {answer.reward:.5g}',
    ))
  return Chart(
      title, x, y, (), marks,
      charts.band(x, *(limit / scale for limit in view.limits)),
      _scatter_note(view, len(trials) - len(shown)),
  )


def _look(view: SearchView, trial: Trial) -> str:
  if isinstance(trial.candidate.architecture, str):
    return 'reference'
  return 'inside' if view.is_inside(trial) else 'outside'


def _scatter_note(view: SearchView, left_out: int) -> str:
  failed = sum(trial.failed for trial in view.found.trials)
  stopped = sum(
      not trial.ok and not trial.failed for trial in view.found.trials
  )
  over = sum(
      trial.ok and bool(view.exceeded(trial)) for trial in view.found.trials
  )
  parts = [
      f'{count:,} {words}' for count, words in (
          (over, 'are over a further limit'),
          (failed, 'failed and have no reward'),
          (stopped, 'were stopped early and have no reward'),
          (left_out, 'are not drawn'),
      ) if count
  ]
  return f'Of the trials, {", ".join(parts)}.' if parts else ''
