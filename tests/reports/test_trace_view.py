"""The words of a decision trace, and what stands where on a cost axis."""

from typing import Any

import pytest

from layernas.reports import trace_view
from layernas.reports.trace_view import AxisView
from layernas.reports.trace_view import CostFormat
from layernas.reports.trace_view import axis_view
from tests.search import traced

_COSTS = CostFormat(1, 'madds')


def _meeting(verdict: str, **values: Any) -> dict[str, Any]:
  return {
      'architecture': '1-0', 'reward': 0.5, 'verdict': verdict, 'trial': 12,
      'seen_before': False, 'rival': None, 'rival_reward': None,
      'displaced': None, 'message': '',
  } | values


_VERDICTS = [
    (_meeting('kept'), 'kept'),
    (_meeting('kept', displaced='3-1'), 'kept, displaced 3-1'),
    (
        _meeting('lost', rival='3-0', rival_reward=0.9),
        'lost to 3-0 by 0.4',
    ),
    (
        _meeting('lost', rival='3-0', rival_reward=0.5),
        'lost to 3-0: equal, the older one stays',
    ),
    (
        _meeting('displaced', rival='3-0', rival_reward=0.75),
        'kept at first, then displaced by 3-0 by 0.25',
    ),
    (
        _meeting('displaced', rival='3-0', rival_reward=0.75, displaced='0-0'),
        'displaced 0-0, then displaced by 3-0 by 0.25',
    ),
    (_meeting('failed', message='loss is nan'), 'failed: loss is nan'),
    (_meeting('failed'), 'failed: no reason given'),
    (_meeting('stopped', message='too bad'), 'stopped: too bad'),
    (_meeting('kept', seen_before=True), 'kept; seen before as trial 12'),
]


@pytest.mark.parametrize(('meeting', 'words'), _VERDICTS)
def test_verdicts(meeting: dict[str, Any], words: str) -> None:
  assert trace_view.verdict_words(meeting) == words


def test_layers_by_hand() -> None:
  [only] = traced.hand_worked()['passes']
  assert list(map(trace_view.layer_sentence, only['layers'])) == [
      '1 prefix was extended by the options of layer0: 2 children. 2 evaluated.'
      ' 2 kept, in 2 of 2 buckets.',
      '2 prefixes were extended by the options of layer1: 6 children. 1 cannot'
      ' reach the target: dropped. 3 evaluated, 2 known from earlier trials, 1'
      ' failed. 2 kept, in 2 of 2 buckets.',
      '2 prefixes were extended by the options of layer2: 4 children. 2 cannot'
      ' reach the target: dropped. 0 evaluated, 2 known from earlier trials. 2'
      ' kept, in 2 of 2 buckets.',
  ]


def test_stopped_children_are_counted() -> None:
  layer = traced.with_a_stopped_child()['passes'][0]['layers'][1]
  assert ' 3 evaluated, 2 known from earlier trials, 1 stopped. 2 kept' in (
      trace_view.layer_sentence(layer)
  )


def test_children_that_were_not_tried_are_counted() -> None:
  layer = traced.hand_worked()['passes'][0]['layers'][0]
  sentence = trace_view.layer_sentence(layer | {'children': 5})
  assert ' 3 were not tried. 2 evaluated.' in sentence


@pytest.mark.parametrize(('cost', 'divisor', 'text'), [
    (52_830_464, 1e6, '52.83 units'),
    (123_456, 1, '123,456 units'),
    (9, 1, '9 units'),
    (4.123456, 1, '4.1235 units'),
    (21_211.4, 1, '21,211 units'),
])
def test_costs(cost: float, divisor: float, text: str) -> None:
  assert CostFormat(divisor, 'units').text(cost) == text


def test_large_costs_are_in_millions() -> None:
  trace = traced.hand_worked()
  assert trace_view.cost_format(trace) == CostFormat(1, 'madds')
  trace['passes'][0]['start_cost'] = 2e7
  trace['problem']['unit'] = 'MAdds'
  assert trace_view.cost_format(trace) == CostFormat(1e6, 'M MAdds')


def test_rewards_and_margins() -> None:
  assert trace_view.reward_text(93.2833333) == '93.283'
  assert trace_view.reward_text(None) == '-'
  assert trace_view.margin_text(93.06 - 92.94) == '0.12'


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
