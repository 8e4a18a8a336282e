"""What a picture of a layer's cost axis shows: buckets, children, target."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from layernas.experiment.trace_words import CostFormat
from layernas.experiment.trace_words import meetings_of
from layernas.experiment.trace_words import reward_text
from layernas.experiment.trace_words import verdict_words

_MARGIN = 0.04
"""Free share of the axis on each side of the outermost points."""


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


def axis_view(
    layer: Mapping[str, Any], target: Mapping[str, Any], costs: CostFormat,
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


def _point(meeting: Mapping[str, Any], path: str | None) -> Point:
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
  """The ends of an axis that leaves some room around what it shows."""
  low, high = ends
  room = _MARGIN * ((high - low) or abs(high) or 1)
  return low - room, high + room


def _target(
    target: Mapping[str, Any], ends: tuple[float, float], costs: CostFormat
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
