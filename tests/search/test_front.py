"""Several upper limits in one search, and the answer under each."""

import collections
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import EarlyStop
from layernas.search import Evaluation
from layernas.search import Finalists
from layernas.search import Problem
from layernas.search import Search
from layernas.search import TargetInterval
from layernas.search import make_schedule
from layernas.search.comparison import Compared
from layernas.search.problem import Reference
from layernas.search.problem import upper_limits
from tests.search import problems

SCHEDULES = ('sweep', 'interleaved', 'recentred', 'model_guided')
HIGHS = (8, 11, 14)


def front_problem(low=-math.inf, references=()):
  """729 networks under three limits."""
  plain = problems.make_problem([[1, 2, 3]] * 6)
  return Problem(
      plain.cost, TargetInterval(low, HIGHS[-1]), references,
      smaller_highs=HIGHS[:-1],
  )


def search_of(name, trials=120, seed=0, low=-math.inf, **settings):
  strategy = make_schedule(name, **settings)
  return Search(front_problem(low), strategy, Budget(trials=trials), seed)


def rising(candidate):
  """The dearer, the better."""
  return Evaluation(float(sum(candidate.architecture)), 1.0)


@pytest.mark.parametrize('name', SCHEDULES)
def test_every_limit_has_the_best_network_below_it(name):
  search = problems.run(search_of(name), rising)
  front = search.front()
  assert [target.high for target, _ in front] == list(HIGHS)
  for target, trial in front:
    # All networks that cost the limit have the best reward below it.
    assert trial.candidate.cost == target.high
    assert trial.evaluation.reward == target.high - 6
  assert front[-1][1] is search.best


@pytest.mark.parametrize('name', SCHEDULES)
def test_answers_are_above_the_lower_limit(name):
  search = problems.run(search_of(name, low=8), problems.RandomResults(1))
  assert [target.low for target, _ in search.front()] == [8] * 3
  assert search.front()[0][1].candidate.cost == 8


@given(
    problems.problems(), problems.SCHEDULE_MAKERS, problems.SEEDS,
    st.floats(0, 0.5), st.data(),
)
def test_incumbents_are_the_best_of_the_trials(
    problem, make, seed, failing, data
):
  costs = sorted({
      problem.cost.cost(one) for one in problems.architectures(problem.space)
      if problem.cost.cost(one) in problem.target
  })
  smaller = data.draw(st.sets(st.sampled_from(costs), max_size=3))
  smaller = tuple(sorted(smaller - {problem.target.high}))
  several = Problem(problem.cost, problem.target, smaller_highs=smaller)
  search = Search(several, make(), seed=seed)
  problems.run(search, problems.RandomResults(seed, failing))
  assert len(search.front()) == len(smaller) + 1
  for target, found in search.front():
    inside = [
        trial for trial in search.trials
        if trial.ok and trial.candidate.cost in target
    ]
    assert found is max(
        inside, key=lambda trial: trial.evaluation.reward, default=None
    )


@pytest.mark.parametrize('name', SCHEDULES)
def test_one_limit_searches_as_before(name):
  """An answer under one limit is a front of one."""
  plain = problems.make_problem([[1, 2, 3]] * 6, high=14)
  search = Search(plain, make_schedule(name), Budget(trials=40))
  problems.run(search, rising)
  assert search.front() == [(plain.target, search.best)]


@pytest.mark.parametrize('name', SCHEDULES)
def test_it_is_resumed_in_its_midst(name):
  whole = problems.run(search_of(name, 60), problems.RandomResults(3))
  for done in (7, 33):
    other = search_of(name, 60)
    other.replay(whole.trials[:done])
    problems.run(other, problems.RandomResults(3))
    assert other.trials == whole.trials
    assert other.front() == whole.front()


def test_the_model_takes_the_limits_in_turn():
  """Beside the design as many picks near one limit as near another."""
  search = search_of(
      'model_guided', 100, design=10, batch=3, optimism=(0.0,), trainings=1
  )
  problems.run(search, rising)
  costs = collections.Counter(
      trial.candidate.cost for trial in search.trials[10:]
  )
  for high in HIGHS:
    assert costs[high] >= 20


def test_a_limit_meets_every_optimism():
  """With as many limits as values of optimism, too."""
  strategy = make_schedule('model_guided', optimism=(0.0, 1.0, 2.0), batch=3)
  met = collections.defaultdict(set)
  search = Search(front_problem(), strategy, Budget(trials=70))
  pools = strategy._pools

  def watched(context):
    found = pools(context)
    for number, pool in enumerate(found):
      best = type(pool).best

      def noted(optimism, besides, pool=pool, best=best, number=number):
        met[number].add(optimism)
        return best(pool, optimism, besides)

      object.__setattr__(pool, 'best', noted)
    return found

  strategy._pools = watched
  problems.run(search, rising)
  assert dict(met) == {number: {0.0, 1.0, 2.0} for number in range(3)}


def test_passes_of_a_recentred_search_start_from_each_answer():
  search = problems.run(search_of('recentred', 10_000, order='random'), rising)
  starts = {one.start for one in search.strategy.passes[1:]}
  for _, trial in search.front():
    assert trial.candidate.architecture in starts
  assert search.stop_reason == 'two passes in a row found nothing better'


def _noisy(candidate):
  rng = random.Random(candidate.seed)
  return Evaluation(sum(candidate.architecture) + rng.gauss(0, 2), 1.0)


def test_finalists_are_repeated_under_each_limit():
  strategy = Finalists(make_schedule('sweep'), 0.4)
  search = Search(front_problem(), strategy, Budget(trials=150))
  problems.run(search, _noisy)
  met, repeats = set(), []
  for trial in search.trials:
    if trial.candidate.architecture in met:
      repeats.append(trial)
    met.add(trial.candidate.architecture)
  for target, trial in search.front():
    known = {
        one.candidate.architecture for one in repeats
        if one.candidate.cost in target
    }
    assert trial.candidate.architecture in known
    assert trial.candidate.cost in target
  below = [one for one in repeats if one.candidate.cost <= HIGHS[0]]
  assert len(below) >= len(repeats) / 3


def test_finalists_without_noise_are_no_answers_of_their_own():
  strategy = Finalists(make_schedule('sweep'), 0.4)
  search = Search(front_problem(), strategy, Budget(trials=150))
  problems.run(search, rising)
  assert [one for _, one in search.front()] == search.incumbents


def test_references_answer_under_the_largest_limit_alone():
  default = Reference('default', (0,) * 6, 6)
  problem = front_problem(references=(default,))
  search = Search(
      problem, Compared(make_schedule('model_guided'), 2), Budget(trials=60)
  )
  # The default is the best, and noise does not hide it.
  problems.run(search, lambda one: Evaluation(-float(sum(one.architecture))))
  assert search.best.candidate.architecture == default.network
  inner = search.strategy.inner.answers(search.incumbents)
  assert [one for _, one in search.front()][:-1] == inner[:-1]


def test_early_stop_spares_what_may_answer_under_any_limit():
  """Worse than the best of all, but than no other of its own limit."""
  plain = problems.make_problem([[1, 5]])
  problem = Problem(plain.cost, smaller_highs=(2,))
  search = Search(
      problem, make_schedule('sweep', buckets=1, order='backward'),
      early_stop=EarlyStop(),
  )
  for trial_id in range(len(search.ask(2))):
    search.tell(trial_id, Evaluation(0.5, early_reward=(0.9, 0.1)[trial_id]))
  # The dear one lost against the cheap one, the cheap one came first.
  assert [one.evaluation.status for one in search.trials] == ['ok', 'stopped']


@pytest.mark.parametrize(('high', 'limits'), [
    (0, (math.inf,)), (0.0, (math.inf,)), (5, (5,)), (2.5, (2.5,)),
    ((3, 1, 2.0), (1, 2.0, 3)), ([2, 2], (2,)), (-4, (-4,)),
])
def test_upper_limits_as_a_config_has_them(high, limits):
  assert upper_limits(high) == limits


@pytest.mark.parametrize('high', [
    'much', (), (1, 0), (1, 'b'), float('nan'), True, (1, None), {'a': 1},
    (1, math.inf),
])
def test_what_is_no_upper_limit_is_refused(high):
  with problems.refuses(f'target.high: {high!r}', '(1.2e6, 1.8e6)'):
    upper_limits(high)


@pytest.mark.parametrize(('smaller', 'parts'), [
    ((5,), ['target interval [-inf, 5]', 'reachable are 6 to 18']),
    ((20,), ['upper limits (20, 14)', 'ascending']),
    ((9, 8), ['upper limits (9, 8, 14)', 'ascending']),
    ((14,), ['upper limits (14, 14)', 'ascending']),
])
def test_smaller_limits_are_below_the_target_and_reachable(smaller, parts):
  plain = problems.make_problem([[1, 2, 3]] * 6, high=14)
  with problems.refuses(*parts):
    Problem(plain.cost, plain.target, smaller_highs=smaller)
