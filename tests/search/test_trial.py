"""Tests of layernas.search.trial."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Status
from layernas.search.trial import Trial
from layernas.search.trial import trial_from_dict
from layernas.search.trial import trial_seed

_finite = st.floats(allow_nan=False, allow_infinity=False)
_candidates = st.builds(
    Candidate,
    id=st.integers(0, 10**6),
    layer=st.integers(0, 40),
    architecture=st.lists(
        st.integers(0, 99), min_size=1, max_size=8
    ).map(tuple),
    cost=st.integers(-2**53, 2**53) | _finite,
    seed=st.integers(0, 2**31 - 1),
)
_evaluations = st.builds(
    Evaluation,
    reward=st.none() | st.floats(),
    seconds=st.floats(0, 1e9),
    status=st.sampled_from(Status),
    message=st.text(),
    metrics=st.dictionaries(st.text(), _finite, max_size=3),
    early_reward=st.none() | st.floats(),
)
_trial = Trial(Candidate(3, 1, (0, 2), 17, 99), Evaluation(0.5, 2.0))


@given(_candidates, _evaluations)
def test_a_trial_comes_back_from_json(candidate, evaluation):
  trial = Trial(candidate, evaluation)
  text = json.dumps(trial.to_dict(), allow_nan=False)
  assert trial_from_dict(json.loads(text)) == trial


def test_the_record_is_plain():
  assert _trial.to_dict() == {
      'id': 3, 'layer': 1, 'architecture': '0-2', 'cost': 17, 'seed': 99,
      'status': 'ok', 'reward': 0.5, 'seconds': 2.0, 'message': '',
      'metrics': {}, 'early_reward': None,
  }


@pytest.mark.parametrize('reward', [math.nan, math.inf, -math.inf, None])
def test_a_reward_that_is_not_finite_is_status_nan(reward):
  evaluation = Evaluation(reward)
  assert evaluation.status is Status.NAN
  assert evaluation.reward is None
  assert evaluation.message == f'reward {reward} is not finite'
  assert not dataclasses.replace(_trial, evaluation=evaluation).ok


def test_a_message_of_the_evaluator_is_kept():
  assert Evaluation(math.nan, message='loss grew').message == 'loss grew'


@pytest.mark.parametrize('reward', [math.nan, math.inf, -math.inf])
def test_an_early_reward_that_is_not_finite_is_none(reward):
  evaluation = Evaluation(0.5, early_reward=reward)
  assert evaluation == Evaluation(0.5)


@pytest.mark.parametrize(('status', 'failed'), [
    (Status.OK, False), (Status.FAILED, True), (Status.NAN, True),
    (Status.STOPPED, False),
])
def test_what_was_stopped_did_not_fail(status, failed):
  trial = Trial(_trial.candidate, Evaluation(0.5, status=status))
  assert trial.failed == failed


def test_records_of_before_early_rewards_are_read():
  record = _trial.to_dict()
  del record['early_reward']
  assert trial_from_dict(record) == _trial


@pytest.mark.parametrize(
    'status', [Status.FAILED, Status.NAN, Status.STOPPED]
)
def test_only_ok_has_a_reward(status):
  evaluation = Evaluation(0.9, status=status)
  assert evaluation.reward is None
  assert not dataclasses.replace(_trial, evaluation=evaluation).ok


def test_a_finite_reward_is_ok():
  assert _trial.ok
  assert _trial.evaluation.reward == 0.5


@pytest.mark.parametrize(
    'field', [name for name in _trial.to_dict() if name != 'early_reward']
)
def test_a_missing_field_is_named(field):
  record = _trial.to_dict()
  del record[field]
  with pytest.raises(UserError, match=r'trial record .*allowed') as info:
    trial_from_dict(record)
  assert repr(field) in str(info.value)


@pytest.mark.parametrize(('field', 'value'), [
    ('id', 'x'), ('id', None), ('layer', []), ('architecture', '0;2'),
    ('architecture', 5), ('cost', '17'), ('cost', None), ('seed', 'x'),
    ('status', 'fine'), ('reward', 'high'), ('seconds', 'long'),
    ('metrics', 3), ('early_reward', 'high'),
])
def test_a_wrong_value_is_refused(field, value):
  with pytest.raises(UserError, match='trial record') as info:
    trial_from_dict(_trial.to_dict() | {field: value})
  assert '\n' not in str(info.value)


@pytest.mark.parametrize('record', [[], 5, None, 'text', ['id']])
def test_something_else_than_a_record_is_refused(record):
  with pytest.raises(UserError, match='trial record'):
    trial_from_dict(record)


def test_seeds_of_trials_differ_and_stay_as_they_are():
  seeds = {trial_seed(seed, one) for seed in range(30) for one in range(100)}
  assert len(seeds) == 3000
  assert all(0 <= seed < 2**31 for seed in seeds)
  # Workdirs of before hold it.
  assert trial_seed(0, 0) == 1896895516
