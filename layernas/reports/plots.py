"""Pictures of a run, as PNG files."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from etils import epath
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from layernas.reports.result import final_metric
from layernas.search import Search

# Names of others are in titles and labels: a $ in them is no formula.
matplotlib.rcParams['text.parse_math'] = False


def subplots(
    rows: int = 1, columns: int = 1, *, figsize: tuple[float, float],
    **settings: Any,
) -> tuple[Figure, Any]:
  """A figure and its axes, as pyplot gives them, but of no backend.

  What the environment or a notebook draws with (MPLBACKEND) neither matters nor
  changes.

  Args:
    rows: of axes.
    columns: of axes.
    figsize: in inches.
    **settings: of `Figure.subplots`.

  Returns:
    The figure and its axes, one or an array.
  """
  figure = Figure(figsize=figsize, layout='constrained')
  FigureCanvasAgg(figure)
  return figure, figure.subplots(rows, columns, **settings)


def save_picture(figure: Figure, path: epath.PathLike, dpi: int = 130) -> None:
  """Writes a figure.

  Args:
    figure: of `subplots`.
    path: of the PNG, local or on gs://.
    dpi: pixels per inch.
  """
  file = io.BytesIO()
  figure.savefig(file, format='png', dpi=dpi)
  epath.Path(path).write_bytes(file.getvalue())


def save_pareto(
    search: Search, path: epath.PathLike, reward: str = 'validation accuracy'
) -> None:
  """Draws every trial, reward against cost, the target and the answers.

  Under several limits each has a dashed line and an answer; the winner is that
  under the largest.

  Trials have the colour of the layer that they decide, or of their number where
  a schedule decides all layers at once. Those of networks over a further limit
  are rings, and none of the Pareto front.

  Args:
    search: with at least one trial.
    path: of the PNG.
    reward: what rewards are, for people.
  """
  figure, axes = subplots(figsize=(7, 4.5))
  trials = [trial for trial in search.trials if trial.ok]
  costs = np.array([trial.candidate.cost for trial in trials])
  rewards = np.array([trial.evaluation.reward for trial in trials])
  scale, unit = cost_scale(costs, search.problem.cost.unit)
  shown, label = [trial.candidate.layer for trial in trials], 'layer decided'
  if not any(shown):
    shown, label = [trial.candidate.id for trial in trials], 'trial'
  kept = np.array([
      search.problem.keeps_limits(trial.candidate.architecture)
      for trial in trials
  ], bool)
  points = axes.scatter(
      costs / scale, rewards, c=shown, cmap='viridis', s=30, zorder=2
  )
  if not kept.all():
    axes.scatter(
        costs[~kept] / scale, rewards[~kept], s=22, facecolor='white',
        edgecolor=points.to_rgba(shown)[~kept], lw=1.5, zorder=2,
        label='over a further limit',
    )
  figure.colorbar(
      points, ax=axes, label=label, ticks=MaxNLocator(integer=True)
  )
  within = np.flatnonzero(kept)
  front = within[pareto_front(costs[within], rewards[within])]
  axes.plot(
      costs[front] / scale, rewards[front], color='0.5', lw=1, zorder=1,
      drawstyle='steps-post', label='Pareto front of the trials',
  )
  target = search.problem.target
  left, right = axes.get_xlim()
  axes.axvspan(
      max(left, target.low / scale), min(right, target.high / scale),
      color='tab:green', alpha=0.08, label='target interval',
  )
  axes.set_xlim(left, right)
  for number, limit in enumerate(search.problem.smaller_highs):
    axes.axvline(
        limit / scale, color='tab:green', lw=1, ls='--', zorder=1,
        label='' if number else 'smaller limits',
    )
  answers = [trial for _, trial in search.front() if trial]
  if answers:
    axes.scatter(
        [trial.candidate.cost / scale for trial in answers],
        [trial.evaluation.reward for trial in answers],
        marker='*', s=260, facecolor='none', edgecolor='tab:red', lw=1.5,
        zorder=3, label=(
            'answer under each limit' if search.problem.smaller_highs
            else 'winner'
        ),
    )
  axes.set_xlabel(unit)
  axes.set_ylabel(reward)
  axes.legend(loc='best', fontsize=8)
  save_picture(figure, path)


def pareto_front(costs: np.ndarray, rewards: np.ndarray) -> list[int]:
  """Indices of the points that no cheaper or equal one beats, by cost."""
  front: list[int] = []
  for index in np.lexsort((-rewards, costs)).tolist():
    if not front or rewards[index] > rewards[front[-1]]:
      front.append(index)
  return front


def save_comparison(
    rows: Sequence[dict[str, Any]], path: epath.PathLike
) -> None:
  """Draws the test accuracies of the final trainings, one row per network.

  Args:
    rows: dicts with 'name', 'madds' and 'accuracies' (shares), or 'losses'.
    path: of the PNG.
  """
  figure, axes = subplots(
      figsize=(6, 1.2 + 0.6 * len(rows))
  )
  for row, values in enumerate(rows):
    metric, found = final_metric(values)
    found = np.array(found) * (100 if metric == 'accuracy' else 1)
    axes.plot(found, [row] * len(found), 'o', alpha=0.6)
    axes.plot(found.mean(), row, '|', color='black', ms=22)
  axes.set_yticks(
      range(len(rows)),
      [f'{v["name"]}\n{v["madds"] / 1e6:.2f} M MAdds' for v in rows],
  )
  axes.set_ylim(len(rows) - 0.5, -0.5)
  unit = ', %' if metric == 'accuracy' else ''
  axes.set_xlabel(f'test {metric}{unit} (points: seeds, bar: mean)')
  axes.grid(axis='x', alpha=0.3)
  save_picture(figure, path)


def cost_scale(costs: np.ndarray, unit: str) -> tuple[float, str]:
  """The multiple in which an axis gives costs: millions where they are large.

  Args:
    costs: on the axis.
    unit: of the costs.

  Returns:
    What to divide costs by, and the axis' label.
  """
  if costs.size and costs.max() >= 1e6:
    return 1e6, f'million {unit}'
  return 1.0, unit
