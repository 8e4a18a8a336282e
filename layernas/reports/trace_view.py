"""A decision trace for people: its sentences, and what pictures of it show.

Pages and pictures are drawn from the JSON of a trace. What they say in words,
and where things stand on the cost axis of a layer, is made here for both.
"""

import dataclasses
import math
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from layernas.search.trial import trial_name

Json = Mapping[str, Any]

_LARGE = 1e4
"""Costs from here on are printed without decimals."""

_MILLIONS = 1e7
"""Where the start network costs so much, costs are printed in millions."""

_MARGIN = 0.04
"""Free share of an axis on each side of the outermost points."""


@dataclasses.dataclass(frozen=True)
class CostFormat:
  """How costs are printed.

  Attributes:
    divisor: costs are given in multiples of it.
    unit: of the multiples.
  """

  divisor: float
  unit: str

  def number(self, cost: float) -> str:
    """A cost without its unit."""
    if self.divisor > 1:
      return f'{cost / self.divisor:,.2f}'
    return f'{cost:,.0f}' if abs(cost) >= _LARGE else f'{cost:.5g}'

  def text(self, cost: float) -> str:
    """A cost with its unit."""
    return f'{self.number(cost)} {self.unit}'.strip()


@dataclasses.dataclass(frozen=True)
class Point:
  """A child in the picture.

  Attributes:
    cost: of the child.
    reward: of the child; None where it failed or was stopped.
    kind: 'path' for the winner's own prefix, 'kept', 'lost', 'failed' or
      'stopped'.
    text: who it is and what became of it.
  """

  cost: float
  reward: float | None
  kind: str
  text: str


@dataclasses.dataclass(frozen=True)
class AxisView:
  """The picture of a layer.

  Attributes:
    shown_costs: smallest and largest cost in the picture.
    shown_rewards: smallest and largest reward in the picture.
    edges: inner edges of the buckets.
    points: children, the winner's prefix last.
    infeasible: costs of the children that were dropped.
    target: part of the target interval inside the picture, or None.
    note: where the target lies if not inside, or ''.
    left_out: children that are not in `points`.
  """

  shown_costs: tuple[float, float]
  shown_rewards: tuple[float, float]
  edges: tuple[float, ...]
  points: tuple[Point, ...]
  infeasible: tuple[float, ...]
  target: tuple[float, float] | None
  note: str
  left_out: int

  @property
  def ends(self) -> tuple[float, float]:
    """Ends of the cost axis, a little beyond what it shows."""
    return _widened(self.shown_costs)

  def across(self, cost: float) -> float:
    """Place of a cost, 0 at the left end and 1 at the right end."""
    return _share(cost, self.shown_costs)

  def up(self, reward: float) -> float:
    """Place of a reward, 0 at the bottom and 1 at the top."""
    return _share(reward, self.shown_rewards)


def cost_format(trace: Json) -> CostFormat:
  """The format that suits the costs of a trace: millions where they are large.

  Args:
    trace: JSON of a trace.

  Returns:
    The format.
  """
  unit = trace['problem']['unit'] or trace['problem']['cost']
  largest = max(
      (one['start_cost'] for one in trace['passes']), default=0
  )
  if largest >= _MILLIONS:
    return CostFormat(1e6, f'M {unit}')
  return CostFormat(1, unit)


def meetings_of(layer: Json) -> Iterator[Json]:
  """All children of a layer that were evaluated or known, by bucket."""
  for met in layer['buckets'].values():
    yield from met


def layer_sentence(layer: Json) -> str:
  """What happened in a layer, in words.

  Args:
    layer: of the JSON of a trace.

  Returns:
    Some sentences.
  """
  met = list(meetings_of(layer))
  prefixes, dropped = len(layer['extended']), len(layer['infeasible'])
  untried = layer['children'] - dropped - len(met)
  known = sum(one['seen_before'] for one in met)
  without_reward = {
      verdict: sum(one['verdict'] == verdict for one in met)
      for verdict in ('failed', 'stopped')
  }
  kept = sum(one['verdict'] == 'kept' for one in met)
  filled = sum(
      any(one['verdict'] == 'kept' for one in bucket)
      for bucket in layer['buckets'].values()
  )
  sentences = [
      f'{_count(prefixes, "prefix", "prefixes")}'
      f' {"was" if prefixes == 1 else "were"} extended by the options of'
      f' {layer["layer"]}: {_count(layer["children"], "child", "children")}.'
  ]
  if dropped:
    sentences.append(f'{dropped:,} cannot reach the target: dropped.')
  if untried:
    sentences.append(f'{untried:,} were not tried.')
  sentences.append(
      f'{len(met) - known:,} evaluated'
      + (f', {known:,} known from earlier trials' if known else '')
      + ''.join(
          f', {count:,} {verdict}'
          for verdict, count in without_reward.items() if count
      ) + '.'
  )
  sentences.append(
      f'{kept:,} kept, in {filled:,} of {len(layer["edges"]) + 1:,} buckets.'
  )
  return ' '.join(sentences)


def verdict_words(meeting: Json) -> str:
  """What a bucket made of a child, in words.

  Args:
    meeting: of the JSON of a trace.

  Returns:
    Such as 'lost to 3-0-1 by 0.4; seen before as trial 12'.
  """
  words = _WORDS[meeting['verdict']](meeting)
  if meeting['seen_before']:
    words += f'; seen before as {trial_name(meeting["trial"])}'
  return words


def reward_text(reward: float | None) -> str:
  """A reward to five digits; a dash where there is none."""
  return '-' if reward is None else f'{reward:.5g}'


def margin_text(margin: float) -> str:
  """A difference of rewards to three digits."""
  return f'{round(margin, 9):.3g}'


def axis_view(
    layer: Json, target: Json, costs: CostFormat,
    most: int = 300,
) -> AxisView | None:
  """Lays out the picture of a layer.

  Args:
    layer: of the JSON of a trace.
    target: of the JSON of a trace.
    costs: how costs are printed.
    most: lost children shown at most.

  Returns:
    The picture; None where no child met a bucket.
  """
  points = [_point(one, layer['path']) for one in meetings_of(layer)]
  if not points:
    return None
  lost = [point for point in points if point.kind == 'lost']
  # Evenly through the buckets.
  shown = lost[::max(1, math.ceil(len(lost) / most))]
  rest = [point for point in points if point.kind != 'lost']
  rest.sort(key=lambda point: point.kind == 'path')
  dropped = [one['cost'] for one in layer['infeasible']]
  shown_costs = _range([*(point.cost for point in points), *dropped])
  inside, note = _target(target, _widened(shown_costs), costs)
  return AxisView(
      shown_costs,
      _range([p.reward for p in points if p.reward is not None] or [0]),
      tuple(layer['edges']), (*shown, *rest),
      tuple(dropped[:most]), inside, note, len(lost) - len(shown),
  )


def _kept(meeting: Json) -> str:
  if meeting['displaced']:
    return f'kept, displaced {meeting["displaced"]}'
  return 'kept'


def _displaced(meeting: Json) -> str:
  by = f'by {meeting["rival"]} by {_margin(meeting)}'
  if meeting['displaced']:
    return f'displaced {meeting["displaced"]}, then displaced {by}'
  return f'kept at first, then displaced {by}'


def _lost(meeting: Json) -> str:
  if meeting['rival_reward'] == meeting['reward']:
    return f'lost to {meeting["rival"]}: equal, the older one stays'
  return f'lost to {meeting["rival"]} by {_margin(meeting)}'


def _failed(meeting: Json) -> str:
  return f'failed: {meeting["message"] or "no reason given"}'


def _stopped(meeting: Json) -> str:
  return f'stopped: {meeting["message"] or "no reason given"}'


def _margin(meeting: Json) -> str:
  return margin_text(meeting['rival_reward'] - meeting['reward'])


_WORDS = {
    'kept': _kept,
    'displaced': _displaced,
    'lost': _lost,
    'failed': _failed,
    'stopped': _stopped,
}


def _count(number: int, one: str, many: str) -> str:
  return f'{number:,} {one if number == 1 else many}'


def _point(meeting: Json, path: str | None) -> Point:
  verdict = meeting['verdict']
  kind = 'lost' if verdict == 'displaced' else verdict
  if meeting['architecture'] == path and meeting['reward'] is not None:
    kind = 'path'
  text = (
      f'{meeting["architecture"]}, reward {reward_text(meeting["reward"])}:'
      f' {verdict_words(meeting)}'
  )
  return Point(meeting['cost'], meeting['reward'], kind, text)


def _range(values: list[float]) -> tuple[float, float]:
  return min(values), max(values)


def _widened(ends: tuple[float, float]) -> tuple[float, float]:
  """The ends of an axis that leaves a margin around what it shows."""
  low, high = ends
  margin = _MARGIN * ((high - low) or abs(high) or 1)
  return low - margin, high + margin


def _target(
    target: Json, ends: tuple[float, float], costs: CostFormat
) -> tuple[tuple[float, float] | None, str]:
  """The target inside the ends, or a note of where it lies."""
  low = -math.inf if target['low'] is None else target['low']
  high = math.inf if target['high'] is None else target['high']
  if math.isinf(low) and math.isinf(high):
    return None, ''
  if high < ends[0]:
    return None, f'the target, at most {costs.text(high)}, lies to the left'
  if low > ends[1]:
    return None, f'the target, at least {costs.text(low)}, lies to the right'
  return (max(low, ends[0]), min(high, ends[1])), ''


def _share(value: float, ends: tuple[float, float]) -> float:
  low, high = _widened(ends)
  return (value - low) / (high - low)
