"""Tests of layernas.search.trace."""

import json

from layernas.search.trace import Dropped
from layernas.search.trace import Incumbent
from layernas.search.trace import Meeting
from layernas.search.trace import Verdict


def test_meetings_as_json():
  meeting = Meeting(
      7, (0, 3), 40, 1, 5, True, 0.5, Verdict.LOST, (1, 2), 0.75
  )
  assert json.loads(json.dumps(meeting.to_dict())) == {
      'number': 7, 'architecture': '0-3', 'cost': 40, 'bucket': 1, 'trial': 5,
      'seen_before': True, 'reward': 0.5, 'verdict': 'lost', 'rival': '1-2',
      'rival_reward': 0.75, 'displaced': None, 'message': '',
  }


def test_dropped_children_as_json():
  assert Dropped((1, 2), 5, 4, 9).to_dict() == {
      'architecture': '1-2', 'cost': 5, 'low': 4, 'high': 9,
  }


def test_incumbents_as_json():
  assert Incumbent(3, 0, 'block 1', 2, (1, 0), 8, 0.9).to_dict() == {
      'number': 3, 'pass': 0, 'layer': 'block 1', 'trial': 2,
      'architecture': '1-0', 'cost': 8, 'reward': 0.9,
  }
