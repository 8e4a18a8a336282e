"""Pictures of searches: the best so far, and reward against cost."""

import math
from collections.abc import Sequence

import numpy as np

from layernas.reports import charts
from layernas.reports.charts import Chart
from layernas.reports.charts import Line
from layernas.reports.charts import Mark
from layernas.reports.plots import cost_scale
from layernas.reports.search_view import SearchView
from layernas.search import Trial
from layernas.search.cost import cost_text

_POINTS = 1500
"""Marks of a search at most, evenly spaced through its trials."""

def curves(views: Sequence[SearchView]) -> list[Chart]:
  """Best reward so far, against trials and against seconds.

  A pair of charts for each kind of reward.
  """
  pictures = []
  for reward in dict.fromkeys(view.reward for view in views):
    drawn = [
        (view, improvements) for view in views
        if view.reward == reward and (improvements := view.improvements())
    ]
    if not drawn:
      continue
    y = charts.upwards(reward, [
        trial.evaluation.reward for _, found in drawn for *_, trial in found
    ])
    whole = max(view.seconds() for view, _ in drawn)
    unit, divisor = next(
        (unit, divisor) for unit, divisor, least in (
            ('hours', 3600, 7200), ('minutes', 60, 600), ('seconds', 1, 0)
        ) if whole >= least
    )
    for title, label, place, end in (
        ('Best so far against trials', 'finished trials',
         lambda number, seconds: number,
         lambda view: len(view.found.trials)),
        ('Best so far against time', f'{unit} in trials',
         lambda number, seconds, divisor=divisor: seconds / divisor,
         lambda view, divisor=divisor: view.seconds() / divisor),
    ):
      x = charts.across(label, [end(view) for view, _ in drawn], zero=True)
      pictures.append(Chart(title, x, y, [
          Line(charts.steps(x, y, [
              (place(number, seconds), trial.evaluation.reward)
              for number, seconds, trial in found
          ], end(view)), view.kind, view.name)
          for view, found in drawn
      ], [
          Mark(x.place(place(number, seconds)),
               y.place(trial.evaluation.reward), view.kind,
               view.trial_text(trial))
          for view, found in drawn for number, seconds, trial in found
      ]))
  return pictures


def scatters(views: Sequence[SearchView]) -> list[Chart]:
  """A picture of each search; those that can be compared have equal axes."""
  groups: dict[tuple[str, str], list[Trial]] = {}
  for view in views:
    groups.setdefault((view.unit, view.reward), []).extend(
        trial for trial in view.found.trials if trial.ok
    )
  return [
      _scatter(
          view, view.name if len(views) > 1 else 'Reward against cost',
          groups[view.unit, view.reward],
      )
      for view in views if any(trial.ok for trial in view.found.trials)
  ]


def _scatter(
    view: SearchView, title: str, compared: Sequence[Trial]
) -> Chart:
  """The picture of a search, on axes that span all trials compared."""
  costs = np.array([trial.candidate.cost for trial in compared], float)
  scale, label = cost_scale(costs, view.unit)
  x = charts.across(label, costs / scale)
  y = charts.upwards(
      view.reward, [trial.evaluation.reward for trial in compared]
  )
  trials = [trial for trial in view.found.trials if trial.ok]
  answer = view.answer()
  shown = trials[::math.ceil(len(trials) / _POINTS)]
  marks = []
  for trial in shown:
    named = isinstance(trial.candidate.architecture, str)
    low, high = view.limits
    look = (
        'reference' if named
        else 'inside' if low <= trial.candidate.cost <= high else 'outside'
    )
    marks.append(Mark(
        x.place(trial.candidate.cost / scale),
        y.place(trial.evaluation.reward), f'{look} {view.kind}',
        view.trial_text(trial),
    ))
  if answer:
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


def _scatter_note(view: SearchView, left_out: int) -> str:
  failed = sum(trial.failed for trial in view.found.trials)
  stopped = sum(
      not trial.ok and not trial.failed for trial in view.found.trials
  )
  parts = [
      f'{count:,} {words}' for count, words in (
          (failed, 'failed and have no reward'),
          (stopped, 'were stopped early and have no reward'),
          (left_out, 'are not drawn'),
      ) if count
  ]
  return f'Of the trials, {", ".join(parts)}.' if parts else ''
