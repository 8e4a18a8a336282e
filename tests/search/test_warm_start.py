"""Architectures that are tried first, and trials of other searches."""

import dataclasses
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import Candidate
from layernas.search import Enqueued
from layernas.search import Evaluation
from layernas.search import Finalists
from layernas.search import ModelGuided
from layernas.search import Search
from layernas.search import Trial
from layernas.search import make_schedule
from layernas.search.comparison import Compared
from layernas.search.problem import Reference
from layernas.search.warm_start import WarmStart
from layernas.search.warm_start import as_known
from layernas.search.warm_start import warm_start_from_dict
from tests.search import problems

COSTS = [[1, 2, 3], [0, 4, 8], [1, 1, 2], [5, 6, 7]]
FIRST = ((2, 1, 0, 1), (0, 0, 2, 2), (1, 1, 1, 0))
NAMES = ['sweep', 'interleaved', 'recentred', 'model_guided']


def schedule(name):
  if name == 'model_guided':
    return ModelGuided(design=8, batch=3, random=200)
  return make_schedule(name, buckets=2)


def evaluate(candidate):
  """Grows with the options; another number for each seed."""
  noise = random.Random(candidate.seed).random()
  return Evaluation(sum(candidate.architecture) + noise, 1.0)


def searched(name, first=FIRST, known=(), trials=20, seed=0, others=()):
  """A search with architectures to try first and known trials."""
  inner = schedule(name)
  search = Search(
      problems.make_problem(COSTS, high=17),
      Enqueued(inner, first) if first else inner, Budget(trials), seed,
  )
  search.know(known, others)
  return search


def other_search(name='sweep', seed=7, trials=30):
  """Trials of another search, as another one knows them."""
  search = problems.run(searched(name, (), (), trials, seed), evaluate)
  return as_known(search.trials, search.problem)


def architectures(search):
  return [trial.candidate.architecture for trial in search.trials]


@pytest.mark.parametrize('name', NAMES)
def test_the_given_ones_come_first_and_in_order(name):
  search = problems.run(searched(name), evaluate)
  assert architectures(search)[:3] == list(FIRST)
  assert len(search.trials) <= 20
  # They may be the answer, and are trained once unless repeats are wanted.
  assert search.best in search.trials
  if name != 'model_guided':
    assert len(set(architectures(search))) == len(search.trials)


def test_a_queue_alone_may_spend_the_budget_and_answer():
  search = problems.run(searched('model_guided', trials=2), evaluate)
  assert architectures(search) == list(FIRST[:2])
  assert search.best.candidate.architecture == FIRST[1]


@pytest.mark.parametrize(('trials', 'plan'), [
    (20, ['3 enqueued', '17 that the schedule proposes']),
    (3, ['3 enqueued', '0 that the schedule proposes']),
    (2, ['2 of the 3 enqueued']),
    (math.inf, ['3 enqueued', 'then those that the schedule proposes']),
])
def test_the_plan_of_a_queue(trials, plan):
  problem = problems.make_problem(COSTS)
  assert Enqueued(schedule('model_guided'), FIRST).plan(problem, trials) == plan
  assert Enqueued(schedule('sweep'), FIRST).plan(problem, trials) == []


def test_a_table_holds_the_trial_of_one_that_was_tried_first():
  plain = problems.run(searched('sweep', ()), evaluate)
  # The first child of a sweep, as one that is tried first.
  child = plain.trials[0].candidate.architecture
  search = problems.run(searched('sweep', (child,)), lambda one: Evaluation(
      100.0 if one.architecture == child else 0.0
  ))
  assert search.reused
  table = search.strategy.proposer.passes[0].tables[1]
  assert [e.trial for e in table.entries() if e.architecture == child] == [0]


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('known', [False, True])
def test_results_in_any_order_give_the_same_search(name, known):
  trials = other_search() if known else ()
  serial = problems.run(searched(name, known=trials), evaluate)
  for seed in range(3):
    other = searched(name, known=trials)
    waiting = []
    rng = random.Random(seed)
    while True:
      waiting += other.ask(rng.randint(0 if waiting else 1, 4))
      if not waiting:
        break
      rng.shuffle(waiting)
      one = waiting.pop()
      other.tell(one.id, evaluate(one))
    assert other.trials == serial.trials
    assert other.best == serial.best


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('wrapped', [False, True])
def test_a_search_is_replayed_from_its_trials(name, wrapped):
  def begun():
    search = searched(name, known=other_search())
    if not wrapped:
      return search
    inner = Enqueued(schedule(name), FIRST)
    if name != 'model_guided':
      inner = Finalists(inner)
    default = search.problem.space.default
    problem = dataclasses.replace(search.problem, references=(
        Reference('default', default, search.problem.cost.cost(default)),
    ))
    search = Search(problem, Compared(inner, 2), Budget(20))
    search.know(other_search())
    return search

  whole = problems.run(begun(), evaluate)
  assert len(whole.trials) <= 20
  for count in range(len(whole.trials)):
    again = begun()
    again.replay(whole.trials[:count])
    assert problems.run(again, evaluate).trials == whole.trials
    assert (again.best, again.reused) == (whole.best, whole.reused)


@pytest.mark.parametrize('name', ['sweep', 'interleaved', 'recentred'])
def test_known_trials_answer_without_a_training(name):
  plain = problems.run(searched(name, ()), evaluate)
  known = as_known(plain.trials, plain.problem)
  search = problems.run(searched(name, (), known), evaluate)
  assert search.best.evaluation.reward >= plain.best.evaluation.reward
  # The same search from the same results: its trials come from the record,
  # and the budget goes on behind them.
  trained = {one.candidate.architecture for one in search.trials}
  assert not trained & set(architectures(plain))
  assert search.reused >= len(known)
  if name == 'sweep':
    twice = problems.run(searched(name, (), trials=99), evaluate)
    every = as_known(twice.trials, twice.problem)
    ended = problems.run(searched(name, (), every), evaluate)
    assert not ended.trials
    assert ended.stop_reason == 'every layer decided'
    assert ended.best.evaluation == twice.best.evaluation


def test_the_best_known_trial_answers_before_anything_is_trained():
  known = other_search()
  search = searched('model_guided', (), known)
  best = max(known, key=lambda trial: (
      trial.candidate.cost in search.problem.target, trial.evaluation.reward
  ))
  assert search.best == best
  assert best.candidate.id < 0


def test_known_trials_take_the_place_of_the_design():
  known = other_search('model_guided')
  designs = {}
  for trials in ((), known):
    search = searched('model_guided', (), trials, trials=12)
    default = search.problem.space.default
    while not search.strategy._fitted:
      [candidate] = search.ask()
      search.tell(candidate.id, evaluate(candidate))
    designs[bool(trials)] = [
        one for one in architectures(search) if one != default
    ]
  # The first fit follows a design; of a warm search it follows trainings of
  # the default network, at the most.
  assert len(designs[False]) >= 3
  assert len(designs[True]) <= 1


def test_a_known_network_that_is_trained_again_is_a_repeat():
  known = other_search('model_guided')
  search = problems.run(searched('model_guided', (), known), evaluate)
  of_known = {trial.candidate.architecture for trial in known}
  again = [one for one in architectures(search) if one in of_known]
  default = search.problem.space.default
  counts = {one: again.count(one) for one in again if one != default}
  assert all(count <= 2 for count in counts.values())
  seeds = [trial.candidate.seed for trial in search.trials]
  assert len(set(seeds)) == len(seeds)


def test_a_known_trial_costs_no_budget():
  known = other_search()
  for name in NAMES:
    search = problems.run(searched(name, (), known, trials=5), evaluate)
    assert len(search.trials) == 5 or 'decided' in search.stop_reason
    assert search.seconds == len(search.trials)


def test_what_has_no_reward_or_no_numbers_is_not_known():
  problem = problems.make_problem(COSTS)
  trials = [
      Trial(Candidate(0, 1, (0, 0, 0, 0), 99, 3), Evaluation(1.0)),
      Trial(Candidate(1, 1, (0, 0, 0, 1), 99, 3), Evaluation(math.nan)),
      Trial(Candidate(2, 0, 'width-scaled', 99, 3), Evaluation(2.0)),
      # The same training once, another seed once more.
      Trial(Candidate(3, 2, (0, 0, 0, 0), 99, 3), Evaluation(1.0)),
      Trial(Candidate(4, 2, (0, 0, 0, 0), 99, 4), Evaluation(1.5)),
  ]
  known = as_known(trials, problem)
  assert [trial.candidate for trial in known] == [
      Candidate(-1, 0, (0, 0, 0, 0), 7, 3), Candidate(-2, 0, (0, 0, 0, 0), 7, 4)
  ]
  with problems.refuses('(9, 0, 0, 0)', 'option 9'):
    as_known(
        [Trial(Candidate(0, 0, (9, 0, 0, 0), 1, 0), Evaluation(1.0))], problem
    )


def other_task(seed=7):
  """Trials of which the rewards are others."""
  return tuple(
      dataclasses.replace(trial, evaluation=Evaluation(
          100.0 + 3.0 * trial.evaluation.reward
      )) for trial in other_search(seed=seed)
  )


@pytest.mark.parametrize('known', [False, True])
@pytest.mark.parametrize('wrapped', [False, True])
def test_trials_of_another_task_are_no_results(known, wrapped):
  def begun():
    return searched(
        'model_guided', FIRST if wrapped else (),
        other_search() if known else (), others=[other_task(), other_task(8)],
    )

  search = begun()
  assert (search.best is not None) == known
  search = problems.run(search, evaluate)
  assert len(search.trials) == 20
  assert [trial.candidate.id for trial in search.trials] == list(range(20))
  assert search.best.evaluation.reward < 100
  assert search.incumbent.evaluation.reward < 100
  for count in (0, 1, 7, 19):
    again = begun()
    again.replay(search.trials[:count])
    assert problems.run(again, evaluate).trials == search.trials
    assert again.best == search.best
  # All that are asked at a time, told backwards.
  other = begun()
  while waiting := other.ask(99):
    for one in reversed(waiting):
      other.tell(one.id, evaluate(one))
  assert other.trials == search.trials


def test_another_task_decides_what_is_trained():
  found = [
      architectures(problems.run(
          searched('model_guided', (), others=others), evaluate
      )) for others in ((), [other_task()])
  ]
  assert found[0] != found[1]


@pytest.mark.parametrize('count', [0, 1])
def test_another_task_may_say_hardly_anything(count):
  search = searched('model_guided', (), others=[other_task()[:count]])
  assert len(problems.run(search, evaluate).trials) == 20


@pytest.mark.parametrize('name', ['sweep', 'interleaved', 'recentred'])
def test_a_schedule_without_a_model_takes_no_other_task(name):
  with problems.refuses('other task', 'same task', 'ModelGuided()'):
    searched(name, (), others=[other_task()])


def test_trials_with_the_ids_of_their_own_search_are_refused():
  """They would be waited for, without end."""
  first = problems.run(searched('sweep'), evaluate)
  search = searched('sweep')
  with problems.refuses('know: ', '[0, 1, 2]', 'as_known'):
    search.know(first.trials)
  assert problems.run(search, evaluate).trials == first.trials


@pytest.mark.parametrize('first', [(9, 0, 0, 0), (-1, 0, 0, 0), (0, 0)])
def test_what_is_tried_first_is_of_the_space(first):
  with problems.refuses(f'architecture {first}'):
    searched('sweep', (first,)).ask()


def test_nothing_becomes_known_in_the_middle():
  search = searched('sweep')
  search.ask()
  with problems.refuses('know:', 'begun'):
    search.know(other_search())


@pytest.mark.parametrize('name', ['sweep', 'interleaved', 'recentred'])
def test_a_pass_may_start_at_any_network(name):
  search = Search(
      problems.make_problem(COSTS),
      make_schedule(name, buckets=2, start='2-1-0-1'),
  )
  search.ask()
  assert search.strategy.passes[0].start == (2, 1, 0, 1)
  for numbers, words in (('2-1-0', '3 options'), ('2-1-0-9', 'option 9')):
    search = Search(search.problem, make_schedule(name, start=numbers))
    with problems.refuses(words):
      search.ask()


@given(
    st.sampled_from(['', '0-1-2']),
    st.lists(st.tuples(*[st.integers(0, 2)] * 4), unique=True, max_size=3),
    st.booleans(), st.booleans(),
)
def test_a_warm_start_is_read_back(start, first, known, other):
  warm = WarmStart(
      start, tuple(first), other_search() if known else (),
      (other_task(), other_search()) if other else (),
  )
  assert warm_start_from_dict(warm.to_dict()) == warm
  assert bool(warm) == bool(start or first or known or other)


def test_a_warm_start_of_before_other_tasks_is_read():
  values = WarmStart('0-1', (), other_search()).to_dict()
  del values['others']
  assert warm_start_from_dict(values) == WarmStart('0-1', (), other_search())


@pytest.mark.parametrize('values', [{}, [], {'start': '', 'first': None}])
def test_a_damaged_warm_start_is_refused(values):
  with problems.refuses('warm start:'):
    warm_start_from_dict(values)
