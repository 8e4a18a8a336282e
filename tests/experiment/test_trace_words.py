"""Tests of layernas.reports.trace_view."""

from typing import Any

import pytest

from layernas.reports import trace_view
from layernas.reports.trace_view import CostFormat
from tests.search import traced


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
