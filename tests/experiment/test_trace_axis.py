"""Tests of layernas.reports.trace_view."""

from typing import Any

import pytest

from layernas.reports.trace_view import AxisView
from layernas.reports.trace_view import CostFormat
from layernas.reports.trace_view import axis_view
from tests.search import traced

_COSTS = CostFormat(1, 'madds')


def _view(length: int, **target: Any) -> AxisView:
  trace = traced.hand_worked()
  layer = trace['passes'][0]['layers'][length - 1]
  return axis_view(layer, trace['problem']['target'] | target, _COSTS)


def test_a_layer_by_hand() -> None:
  view = _view(2)
  # Winner's prefix last, on top of the others.
  assert [(p.cost, p.reward, p.kind) for p in view.points] == [
      (6, 2.0, 'lost'), (6, 2.0, 'lost'), (3, 1.0, 'kept'),
      (7, None, 'failed'), (9, 4.0, 'path'),
  ]
  assert view.points[0].text == (
      '0-1-0, reward 2: kept at first, then displaced by 1-1-0 by 2'
  )
  assert view.edges == (6.0,)
  assert view.infeasible == (10,)
  assert view.shown_costs == (3, 10)
  assert view.shown_rewards == (1.0, 4.0)


def test_a_stopped_child_has_a_kind_of_its_own() -> None:
  trace = traced.with_a_stopped_child()
  layer = trace['passes'][0]['layers'][1]
  view = axis_view(layer, trace['problem']['target'], _COSTS)
  [stopped] = [point for point in view.points if point.kind == 'stopped']
  assert (stopped.cost, stopped.reward) == (7, None)


def test_places_leave_a_margin() -> None:
  view = _view(2)
  assert view.ends == pytest.approx((2.72, 10.28))
  assert view.across(6.5) == pytest.approx(0.5)
  assert view.across(3) == pytest.approx(0.28 / 7.56)
  assert view.up(2.5) == pytest.approx(0.5)


def test_the_target_is_clipped() -> None:
  assert _view(2).target == pytest.approx((2.72, 9))
  assert _view(2, low=4, high=None).target == pytest.approx((4, 10.28))
  assert _view(2, high=None).target is None


def test_a_target_beside_the_picture_is_noted() -> None:
  left = _view(1, high=2)
  assert left.target is None
  assert left.note == 'the target, at most 2 madds, lies to the left'
  right = _view(1, low=7, high=None)
  assert right.target is None
  assert right.note == 'the target, at least 7 madds, lies to the right'


def test_one_point_is_in_the_middle() -> None:
  trace = traced.hand_worked()
  layer = trace['passes'][0]['layers'][0]
  layer['buckets'] = {'0': layer['buckets']['0']}
  view = axis_view(layer, trace['problem']['target'], _COSTS)
  assert (view.across(3), view.up(1.0)) == pytest.approx((0.5, 0.5))


def test_a_layer_that_nobody_came_to() -> None:
  trace = traced.hand_worked()
  layer = trace['passes'][0]['layers'][0] | {'buckets': {}}
  assert axis_view(layer, trace['problem']['target'], _COSTS) is None


def test_of_many_lost_ones_some_are_left_out() -> None:
  trace = traced.large(6, 9, 20)
  for layer in trace['passes'][0]['layers']:
    view = axis_view(layer, trace['problem']['target'], _COSTS, most=10)
    met = [one for bucket in layer['buckets'].values() for one in bucket]
    assert len(view.points) + view.left_out == len(met)
    assert sum(point.kind == 'lost' for point in view.points) <= 10
    shown = {point.text.partition(',')[0] for point in view.points}
    assert shown >= {
        one['architecture'] for one in met
        if one['verdict'] in ('kept', 'failed')
        or one['architecture'] == layer['path']
    }
