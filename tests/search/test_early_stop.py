"""Tests of layernas.search.early_stop, and of the search that applies it."""

import dataclasses
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import Status
from layernas.search import make_schedule
from layernas.search.early_stop import MESSAGE
from layernas.search.early_stop import EarlyStop
from layernas.search.early_stop import configured_early_stop
from layernas.search.early_stop import stopped
from layernas.search.finalists import Finalists
from layernas.search.model_guided import ModelGuided
from layernas.search.trial import trial_from_dict
from tests.search import problems

MARGINS = st.sampled_from([0.0, 0.5, 1.0])


@dataclasses.dataclass(frozen=True)
class EarlyResults:
  """Random results with early rewards near the rewards.

  Some fail before their early point and some behind it. Seconds are 1, which
  no two runs of a stopped candidate would have in common.

  Attributes:
    seed: of the results.
    error: largest difference of early reward and reward.
    failing: share of the architectures that fail.
  """

  seed: int
  error: int = 2
  failing: float = 0.2

  def __call__(self, candidate):
    rng = random.Random(f'{self.seed} {candidate.architecture}')
    reward = float(rng.randrange(6))
    early = reward + rng.randint(-self.error, self.error)
    if rng.random() < self.failing:
      early = rng.choice([None, early])
      return Evaluation(
          None, 1.0, Status.FAILED, 'as drawn', early_reward=early
      )
    return Evaluation(
        reward, 1.0, metrics={'accuracy': reward}, early_reward=early
    )


def evaluate_with(search, results, rng, asking=0.5):
  """An evaluator that mostly asks, at its early point, whether to go on."""
  def evaluate(candidate):
    result = results(candidate)
    asks = result.early_reward is not None and rng.random() < asking
    if asks and search.hopeless(candidate.id, result.early_reward):
      return stopped(result)
    return result
  return evaluate


def search_of(problem, make_schedule, seed, margin=0.0, **settings):
  return Search(
      problem, make_schedule(), seed=seed, early_stop=EarlyStop(margin),
      **settings,
  )


def statuses(search):
  return [str(trial.evaluation.status) for trial in search.trials]


# The order in which candidates are told, and who stops them.


# Many options, so that buckets change their entries often.
@given(
    problems.problems(max_layers=3, max_options=7), problems.SCHEDULE_MAKERS,
    problems.SEEDS, MARGINS, st.booleans(),
)
def test_the_answer_depends_on_no_timing(
    problem, make_schedule, seed, margin, finalists
):
  def search():
    strategy = make_schedule()
    if finalists:
      strategy = Finalists(strategy, 0.3)
    return Search(problem, strategy, seed=seed, early_stop=EarlyStop(margin))

  results, rng = EarlyResults(seed, error=5), random.Random(seed)
  trained, stopping, disordered, both = (search() for _ in range(4))
  problems.run(trained, results)
  problems.run(stopping, evaluate_with(stopping, results, rng, 1.0))
  problems.run_in_disorder(disordered, results, rng)
  problems.run_in_disorder(both, evaluate_with(both, results, rng, 0.9), rng)
  for other in (stopping, disordered, both):
    assert problems.state(other) == problems.state(trained)


@given(
    problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS, MARGINS,
    st.data(),
)
def test_a_search_with_stopped_trials_is_resumed(
    problem, make_schedule, seed, margin, data
):
  results = EarlyResults(seed)
  whole, resumed = (
      search_of(problem, make_schedule, seed, margin) for _ in range(2)
  )
  rng = random.Random(seed)
  problems.run_in_disorder(whole, evaluate_with(whole, results, rng), rng)
  length = data.draw(st.integers(0, len(whole.trials)))
  resumed.replay(
      trial_from_dict(trial.to_dict()) for trial in whole.trials[:length]
  )
  assert resumed.trials == whole.trials[:length]
  problems.run(resumed, results)
  assert problems.state(resumed) == problems.state(whole)


@given(
    problems.problems(),
    problems.SCHEDULE_MAKERS.filter(
        lambda make: type(make()).__name__ != 'Recentred'
    ),
    problems.SEEDS, MARGINS,
)
def test_where_early_rewards_are_right_nothing_is_lost(
    problem, make_schedule, seed, margin
):
  """Tables and winner are those of a search that stops nobody.

  Later passes of `recentred` may propose again what was stopped.
  """
  results = EarlyResults(seed, error=0)
  with_stops = search_of(problem, make_schedule, seed, margin)
  without = Search(problem, make_schedule(), seed=seed)
  problems.run(with_stops, results)
  problems.run(without, results)
  left, right = problems.state(with_stops), problems.state(without)
  for state in (left, right):
    del state['trials']
  assert left == right
  for one, other in zip(with_stops.trials, without.trials, strict=True):
    assert one.candidate == other.candidate
    if one.evaluation.status is Status.STOPPED:
      assert one.evaluation.early_reward == other.evaluation.early_reward
    else:
      assert one == other


# By hand: options cost the same, so that they meet in one bucket.


def one_bucket(options=4, keep=1, margin=0.5, high=math.inf, **settings):
  problem = problems.make_problem([[2] * options], high=high)
  schedule = make_schedule('sweep', buckets=1, keep=keep)
  return Search(
      problem, schedule, early_stop=EarlyStop(margin), **settings
  )


def test_a_candidate_below_the_holder_by_the_margin_is_hopeless():
  search = one_bucket()
  search.ask(2)
  search.tell(0, Evaluation(9.0, early_reward=5.0))
  assert not search.hopeless(1, 4.5)
  assert search.hopeless(1, 4.25)
  search.tell(1, Evaluation(20.0, 7.0, metrics={'a': 1}, early_reward=4.25))
  assert search.trials[1].evaluation == Evaluation(
      None, 7.0, Status.STOPPED, MESSAGE, early_reward=4.25
  )
  assert search.best is search.trials[0]
  assert search.seconds == 7.0


def test_a_bucket_with_room_stops_nobody():
  search = one_bucket(keep=2)
  search.ask(3)
  search.tell(0, Evaluation(9.0, early_reward=5.0))
  assert not search.hopeless(1, 0.0)
  search.tell(1, Evaluation(8.0, early_reward=3.0))
  # Of two entries it must beat the worse one.
  assert not search.hopeless(2, 2.5)
  assert search.hopeless(2, 2.0)


def test_nobody_is_hopeless_before_all_earlier_ones_are_told():
  search = one_bucket()
  search.ask(3)
  search.tell(0, Evaluation(9.0, early_reward=5.0))
  assert not search.hopeless(2, 0.0)
  search.tell(2, Evaluation(30.0, early_reward=0.0))
  search.tell(1, Evaluation(1.0, early_reward=5.0))
  assert statuses(search) == ['ok', 'ok', 'stopped']


@pytest.mark.parametrize('early_reward', [None, math.nan])
def test_a_holder_without_early_reward_stops_nobody(early_reward):
  search = one_bucket()
  search.ask(2)
  search.tell(0, Evaluation(9.0, early_reward=early_reward))
  assert not search.hopeless(1, -99.0)


def test_a_candidate_in_the_target_must_not_beat_the_incumbent_either():
  """Its bucket is held by a network that is too dear."""
  # The first network costs 9; the second layer may make it cheaper.
  problem = problems.make_problem([[9, 2, 2], [0, -5]], high=8)
  schedule = make_schedule('sweep', buckets=1)
  search = Search(problem, schedule, early_stop=EarlyStop())
  search.ask(3)
  search.tell(0, Evaluation(9.0, early_reward=9.0))
  assert search.incumbent is None
  assert not search.hopeless(1, 1.0)
  search.tell(1, Evaluation(1.0, early_reward=1.0))
  assert search.incumbent is search.trials[1]
  assert not search.hopeless(2, 1.0)
  assert search.hopeless(2, 0.5)


def test_stopped_candidates_are_no_failures():
  search = one_bucket(options=6, budget=Budget(failures=2))
  failed = Evaluation(None, status=Status.FAILED)
  good, bad = (Evaluation(9.0, early_reward=early) for early in (5.0, 1.0))
  results = iter([good, failed, bad, failed, bad, bad])
  problems.run(search, lambda candidate: next(results))
  assert statuses(search) == [
      'ok', 'failed', 'stopped', 'failed', 'stopped', 'stopped',
  ]
  assert search.stop_reason == 'every layer decided'


def test_repeats_are_never_stopped():
  sweep = make_schedule('sweep', buckets=1)
  search = Search(
      problems.make_problem([[2] * 4]), Finalists(sweep, 0.5),
      early_stop=EarlyStop(),
  )
  problems.run(search, lambda one: Evaluation(9.0, early_reward=5.0), trials=3)
  [candidate] = search.ask()
  assert search.hopeless(candidate.id, 4.0)
  search.tell(candidate.id, Evaluation(9.0, early_reward=4.0))
  [repeat] = search.ask()
  assert repeat.architecture == search.trials[0].candidate.architecture
  assert not search.hopeless(repeat.id, 4.0)
  search.tell(repeat.id, Evaluation(8.0, early_reward=4.0))
  assert statuses(search) == ['ok', 'ok', 'ok', 'stopped', 'ok']


@pytest.mark.parametrize('trial_id', [0, 2])
def test_only_what_is_under_way_can_be_hopeless(trial_id):
  search = one_bucket()
  search.ask(2)
  search.tell(0, Evaluation(1.0))
  with pytest.raises(ValueError, match=f'trial {trial_id} does not wait'):
    search.hopeless(trial_id, 1.0)


# Settings.


def section(fraction=0.5, margin=0.02):
  return ConfigDict({'fraction': fraction, 'margin': margin})


def test_settings_of_a_config():
  sweep = make_schedule('sweep')
  assert configured_early_stop(section(), sweep) == EarlyStop(0.02)
  assert configured_early_stop(section(), Finalists(sweep)) == EarlyStop(0.02)
  assert configured_early_stop(section(0.0), sweep) is None
  assert configured_early_stop(section(0.0), ModelGuided()) is None


@pytest.mark.parametrize(('field', 'value'), [
    ('fraction', 1.0), ('fraction', -0.1), ('fraction', math.nan),
    ('margin', -0.1), ('margin', math.nan), ('margin', math.inf),
])
def test_wrong_settings_are_refused(field, value):
  with problems.refuses(f'early_stop.{field}', str(value)):
    configured_early_stop(section(**{field: value}), make_schedule('sweep'))


def test_schedules_without_layer_tables_of_trained_networks_are_refused():
  with problems.refuses('early_stop.fraction', '0.5', 'sweep'):
    configured_early_stop(section(), ModelGuided())
