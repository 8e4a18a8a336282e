"""Candidates, evaluations, trials, and the budget that they spend."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.search.budget import Budget
from layernas.search.budget import Remaining
from layernas.search.budget import Spent
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Status
from layernas.search.trial import Trial
from layernas.search.trial import trial_from_dict
from layernas.search.trial import trial_name
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
    message=st.text('a\n"é', max_size=5),
    metrics=st.dictionaries(st.sampled_from(['a', 'b']), _finite),
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


def test_old_records_lack_early_rewards():
  record = _trial.to_dict()
  del record['early_reward']
  assert trial_from_dict(record) == _trial


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
  # Existing workdirs hold it.
  assert trial_seed(0, 0) == 1896895516


@pytest.mark.parametrize(('budget', 'spent', 'reason'), [
    (Budget(trials=3), (2, 0, 0), ''),
    (Budget(trials=3), (3, 0, 0), 'budget of 3 trials spent'),
    (Budget(trials=3), (4, 0, 0), 'budget of 3 trials spent'),
    (Budget(seconds=1.5), (9, 1.49, 0), ''),
    (Budget(seconds=1500.5), (9, 1500.5, 0), 'budget of 1,500.5 seconds spent'),
    (Budget(failures=2), (9, 0, 1), ''),
    (Budget(failures=2), (9, 0, 2), '2 trials in a row failed'),
    (
        Budget(failures=2), (9, 0, 2, 'a'),
        '2 trials in a row failed, the first: a',
    ),
])
def test_a_limit_is_reached_exactly(budget, spent, reason):
  trials, *rest = spent
  assert budget.spent(trials, Spent(*rest)) == reason


def test_what_is_left():
  left = Budget(trials=5, seconds=2.5).remaining(3, 3.0)
  assert (left.trials, left.seconds) == (2, -0.5)
  assert Budget().remaining(3, 3.0) == Remaining(math.inf, math.inf)


def test_failures_in_a_row_and_the_first_of_them():
  spent, seen = Spent(), []
  for status, message in [
      (Status.FAILED, 'a'), (Status.NAN, 'b'), (Status.STOPPED, ''),
      (Status.FAILED, 'c'), (Status.OK, ''), (Status.FAILED, 'd'),
  ]:
    spent.add(Trial(
        Candidate(0, 1, (0,), 1, 0), Evaluation(1.0, 2.0, status, message)
    ))
    seen.append((spent.failures, spent.failures and spent.first_failure))
  assert seen == [(1, 'a'), (2, 'a'), (0, 0), (1, 'c'), (0, 0), (1, 'd')]
  assert spent.seconds == 12.0


@pytest.mark.parametrize('field', ['trials', 'seconds', 'failures', 'reused'])
@pytest.mark.parametrize('value', [0, -1, math.nan])
def test_limits_are_above_zero(field, value):
  with pytest.raises(UserError, match='allowed are numbers above zero') as info:
    Budget(**{field: value})
  assert f'budget.{field}: {value!r}' in str(info.value)


def test_known_trials_have_a_name_of_their_own():
  assert [trial_name(one) for one in (3, 0, -1)] == [
      'trial 3', 'trial 0', 'known trial 1'
  ]
