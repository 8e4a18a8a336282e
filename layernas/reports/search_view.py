"""What a page shows of one search, from what its workdir holds."""

import dataclasses
import math
import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from layernas.errors import UserError
from layernas.networks.costs import further_limits
from layernas.networks.interface import METRICS
from layernas.reports.console import reward_name
from layernas.reports.importance import Importance
from layernas.reports.importance import importance
from layernas.reports.option_labels import option_labels
from layernas.reports.result import final_metric
from layernas.search import Trial
from layernas.search.cost import cost_text
from layernas.search.problem import upper_limits
from layernas.search.space import SearchSpace
from layernas.search.space import architecture_id

Json = Mapping[str, Any]

_COLOURS = 8
"""Kinds of lines and marks, after which they come again."""

_BEST = 10
"""Rows of the table of the best trials."""

_UNITS = {**METRICS, 'latency': 'ms'}
"""Of the registered cost metrics; one of a user's own has its name."""


@dataclasses.dataclass(frozen=True)
class SearchFindings:
  """What a workdir holds of a search.

  Attributes:
    name: unique on the page.
    path: of the workdir.
    state: how far it is, in words.
    config: of the run, fields that it lacks at their defaults.
    trials: finished ones, in order.
    result: content of result.json; None where it is not that of these trials.
    best: trial that answers so far, as `Trial.to_dict` gives it; None where
      nothing says, so that the best reward in the target counts.
    final: networks of final trainings, as in final.json; those that are under
      way have no 'mean'.
    space: that was searched; None where it cannot be had.
    lacking: why it cannot, or ''.
    trace: link to the page of the decision trace; '' where there is none.
    further_costs: that further limits are on, by metric, by the id of the
      trial; a trial without is held for one that keeps them.
  """

  name: str
  path: str
  state: str
  config: Json
  trials: Sequence[Trial]
  result: Json | None = None
  best: Json | None = None
  final: Sequence[Json] = ()
  space: SearchSpace | None = None
  lacking: str = ''
  trace: str = ''
  further_costs: Mapping[int, Mapping[str, float]] = (
      dataclasses.field(default_factory=dict)
  )


@dataclasses.dataclass(frozen=True)
class Answer:
  """The network that a search has found, or stands at.

  Attributes:
    architecture: its text.
    trial: id.
    cost: of it.
    reward: of that trial, or what the search makes of several.
    options: layer names and chosen options' labels; empty where not known.
  """

  architecture: str
  trial: int
  cost: float
  reward: float
  options: Sequence[tuple[str, str]] = ()


class Improvement(NamedTuple):
  """A trial that was better than all before.

  Attributes:
    number: trials that had finished with it.
    seconds: in these trials.
    trial: the trial.
  """

  number: int
  seconds: float
  trial: Trial


@dataclasses.dataclass(frozen=True)
class Effects:
  """What the trials of a search tell of its layers.

  Attributes:
    search: its name.
    found: the effects, or None.
    lacking: why there are none, or ''.
    answer: labels of the answer's options, by layer of `found`; '' where the
      answer is not known.
  """

  search: str
  found: Importance | None
  lacking: str
  answer: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class SearchView:
  """A search, and what the page shows of it.

  Attributes:
    index: among the searches.
    found: what its workdir holds.
  """

  index: int
  found: SearchFindings

  @property
  def name(self) -> str:
    """Of the search."""
    return self.found.name

  @property
  def kind(self) -> str:
    """Class of its colour, and of its dashes where colours come again."""
    dashed = ' dashed' if self.index // _COLOURS % 2 else ''
    return f'c{self.index % _COLOURS}{dashed}'

  @property
  def unit(self) -> str:
    """Of its costs."""
    metric = self.found.config['cost']['metric']
    return _UNITS.get(metric, metric)

  @property
  def reward(self) -> str:
    """What its rewards are, for people."""
    return reward_name(self.found.config)

  @property
  def limits(self) -> tuple[float, float]:
    """Ends of the target interval, infinite where there are none."""
    target = self.found.config['target']
    high = upper_limits(target['high'])[-1]
    return target['low'] or -math.inf, high

  def target(self) -> str:
    """The target interval in words, with each of several upper limits."""
    low, high = self.limits
    if math.isinf(low) and math.isinf(high):
      return 'any cost'
    if math.isinf(high):
      return f'at least {cost_text(low)} {self.unit}'
    highs = ', '.join(
        map(cost_text, upper_limits(self.found.config['target']['high']))
    )
    if math.isinf(low):
      return f'at most {highs} {self.unit}'
    return f'{cost_text(low)} to {highs} {self.unit}'

  @property
  def further_limits(self) -> dict[str, float]:
    """Limits on other metrics, by their names."""
    return further_limits(self.found.config['limits'])

  def further_limits_text(self) -> str:
    """Limits on other metrics in words; '' where there are none."""
    text = ', '.join(
        f'{name} at most {cost_text(high)}'
        for name, high in self.further_limits.items()
    )
    known = self.found.further_costs
    unknown = sum(
        trial.ok and trial.candidate.id not in known
        and not isinstance(trial.candidate.architecture, str)
        for trial in self.found.trials
    )
    if text and unknown:
      text += (
          f' (not known of {unknown:,} trials of an older version, which count'
          ' as within; the command of the search records it)'
      )
    return text

  def exceeded(self, trial: Trial) -> dict[str, float]:
    """Costs of a trial's network that lie above further limits."""
    costs = self.found.further_costs.get(trial.candidate.id, {})
    return {
        name: costs[name] for name, high in self.further_limits.items()
        if name in costs and costs[name] > high
    }

  @property
  def allowed(self) -> str:
    """What an answer lies in."""
    return 'target and further limits' if self.further_limits else 'target'

  def front(self) -> str:
    """Answers under several limits in words; '' where there is one limit."""
    return '; '.join(
        f'at most {cost_text(one["limit"])}: ' + (
            f'{one["architecture"]}, {cost_text(one["cost"])} {self.unit},'
            f' reward {one["reward"]:.4f}'
            if one['trial'] is not None else 'none'
        ) for one in (self.found.result or {}).get('front', ())
    )

  def is_inside(self, trial: Trial) -> bool:
    """Whether a trial has a reward, a cost in the target, and the limits."""
    low, high = self.limits
    return trial.ok and low <= trial.candidate.cost <= high and (
        not self.exceeded(trial)
    )

  def best_trials(self) -> list[Trial]:
    """Those of the best rewards in the target, the best one first."""
    return sorted(
        filter(self.is_inside, self.found.trials),
        key=lambda trial: -trial.evaluation.reward,
    )[:_BEST]

  def answer(self) -> Answer | None:
    """By the result; before there is one, by the status or the rewards."""
    result, best = self.found.result, self.found.best
    if result is not None:
      winner = result['winner']
      return winner and Answer(
          winner['architecture'], winner['trial'], winner['cost'],
          winner['reward'], self._options(winner['architecture']),
      )
    if best is None:
      first = next(iter(self.best_trials()), None)
      best = first and first.to_dict()
    return best and Answer(
        best['architecture'], best['id'], best['cost'], best['reward'],
        self._options(best['architecture']),
    )

  def _options(self, architecture: str) -> list[tuple[str, str]]:
    """Layers and labels of the options; none where the space is not known."""
    space = self.found.space
    chosen = architecture.split('-')
    if space is None or len(chosen) != len(space) or not all(
        option.isdecimal() and int(option) < count
        for option, count in zip(chosen, space.option_counts, strict=True)
    ):
      return []
    return [
        (layer.name, option_labels(layer)[int(option)])
        for layer, option in zip(space.layers, chosen, strict=True)
    ]

  def improvements(self) -> list[Improvement]:
    """Trials in the target that were better than all before."""
    found, best, seconds = [], -math.inf, 0.0
    for number, trial in enumerate(self.found.trials, 1):
      seconds += trial.evaluation.seconds
      if self.is_inside(trial) and trial.evaluation.reward > best:
        best = trial.evaluation.reward
        found.append(Improvement(number, seconds, trial))
    return found

  def seconds(self) -> float:
    """In all trials."""
    return sum(trial.evaluation.seconds for trial in self.found.trials)

  def trial_text(self, trial: Trial) -> str:
    """Who a trial was, for hovering."""
    candidate = trial.candidate
    over = ''.join(
        f'; over a limit: {name} {cost_text(cost)}, at most'
        f' {cost_text(self.further_limits[name])}'
        for name, cost in self.exceeded(trial).items()
    )
    return (
        f'{self.name}: trial {candidate.id},'
        f' {architecture_id(candidate.architecture)},'
        f' {cost_text(candidate.cost)} {self.unit}, reward'
        f' {trial.evaluation.reward:.5g}{over}'
    )

  def effects(self) -> Effects:
    """Importance of layers and options, or why there is none."""
    answer = self.answer()
    if self.found.space is None:
      return Effects(self.name, None, (
          f'The space is not at hand: {self.found.lacking}'
      ))
    try:
      found = importance(self.found.space, self.found.trials)
    except UserError as error:
      return Effects(self.name, None, f'No effects are estimated: {error}.')
    chosen = dict(answer.options) if answer else {}
    return Effects(
        self.name, found, '', [chosen.get(one.name, '') for one in found.layers]
    )

  def final_rows(self) -> list[dict[str, Any]]:
    """Final trainings for the table."""
    rows = []
    for row in self.found.final:
      metric, values = final_metric(row)
      mean = statistics.fmean(values)
      deviation = statistics.stdev(values) if len(values) > 1 else None
      rows.append({
          'name': row['name'], 'metric': metric, 'values': values,
          'mean': mean, 'deviation': deviation,
          'madds': row.get('madds'), 'params': row.get('params'),
          'under_way': 'mean' not in row,
      })
    return rows
