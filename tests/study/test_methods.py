"""What all methods of a study promise, and how each is named."""

import collections
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import Problem
from layernas.search import Search
from layernas.search import additive_cost
from layernas.search.problem import Limit
from layernas.study.methods.baseline import Baseline
from layernas.study.methods.baseline import mutate
from layernas.study.methods.random_search import RandomSearch
from layernas.study.methods.registry import make_method
from tests.search import problems

NAMES = ('random', 'evolution', 'local_search', 'reinforce')
ALL = [(name, {}) for name in NAMES] + [
    ('optuna', {'sampler': 'tpe'}), ('optuna', {'sampler': 'nsga2'})
]
DEFAULT = {'start': 'default'}
SEEDED = [('evolution', DEFAULT), ('local_search', DEFAULT)]
OWN = 'examples.own_schedule:CoordinateDescent'


def search_of(name, settings, problem, seed, trials=30, **kwargs):
  strategy = make_method(name, **settings)
  budget = Budget(trials=trials, reused=20)
  return Search(problem, strategy, budget, seed, **kwargs)


@pytest.mark.parametrize(('name', 'settings'), [
    *((name, {}) for name in NAMES), *SEEDED,
])
@given(problem=problems.problems(), seed=problems.SEEDS, cut=st.integers(0, 30),
       reuse=st.booleans())
def test_trials_lie_in_the_target_and_are_resumed_to_the_same_end(
    name, settings, problem, seed, cut, reuse
):
  results = problems.RandomResults(seed, 0.2)
  whole = search_of(name, settings, problem, seed, reuse=reuse)
  problems.run(whole, results)
  assert whole.trials
  assert whole.finished
  for trial in whole.trials:
    problem.space.check(trial.candidate.architecture)
    cost = problem.cost.cost(trial.candidate.architecture)
    assert trial.candidate.cost == cost
    assert cost in problem.target
  resumed = search_of(name, settings, problem, seed, reuse=reuse)
  resumed.replay(whole.trials[:cut])
  problems.run(resumed, results)
  assert resumed.trials == whole.trials
  assert resumed.best == whole.best


@pytest.mark.parametrize(('name', 'settings'), ALL)
def test_learns_or_at_least_does_not_forget_the_limit(name, settings):
  """120 trials on an additive space of 4,096 networks, half of them allowed."""
  problem = problems.make_problem([[0, 1, 2, 3]] * 6, high=9)
  search = search_of(name, settings, problem, 3, trials=120, reuse=False)
  problems.run(search, lambda candidate: problems.Evaluation(
      float(sum(candidate.architecture))
  ))
  assert len(search.trials) == 120
  assert search.best.evaluation.reward == 9.0
  assert all(trial.candidate.cost <= 9 for trial in search.trials)
  assert search.strategy.infeasible > 0
  assert search.bound == 120


@pytest.mark.parametrize(('name', 'settings'), [
    *ALL, *SEEDED, ('model_random', {}), (OWN, {}),
])
def test_keeps_further_limits(name, settings):
  """The best networks are the smallest, of which none keeps the limit."""
  plain = problems.make_problem([[0, 1, 2, 3]] * 6, high=9)
  further = additive_cost('params', plain.space, [[3, 2, 1, 0]] * 6)
  problem = Problem(plain.cost, plain.target, limits=(Limit(further, 12),))
  search = search_of(name, settings, problem, 3, trials=60)
  problems.run(search, lambda candidate: problems.Evaluation(
      float(-sum(candidate.architecture))
  ))
  assert search.best
  for trial in search.trials:
    assert 6 <= problem.cost.cost(trial.candidate.architecture) <= 9


@pytest.mark.parametrize(('name', 'settings'), ALL)
def test_seeds_decide(name, settings):
  problem = problems.make_problem([[0, 1, 2, 3]] * 5)

  def run(seed):
    search = search_of(name, settings, problem, seed, reuse=False)
    problems.run(search, problems.RandomResults(1))
    return [trial.candidate.architecture for trial in search.trials]

  assert run(1) == run(1)
  assert run(1) != run(2)


@pytest.mark.parametrize(('name', 'settings'), ALL)
def test_lives_on_where_everything_fails(name, settings):
  problem = problems.make_problem([[0, 1, 2]] * 3)
  search = search_of(name, settings, problem, 0, trials=25, reuse=False)
  problems.run(search, problems.RandomResults(0, failing=1.0))
  assert len(search.trials) == 25
  assert search.best is None


@pytest.mark.parametrize(('name', 'settings'), ALL)
def test_one_network_is_enough(name, settings):
  """An interval that a single network meets; nothing runs for ever."""
  problem = problems.make_problem([[0, 1, 2, 3]] * 4, low=12)
  search = search_of(name, settings, problem, 0, trials=5)
  problems.run(search, problems.RandomResults(0))
  assert [t.candidate.architecture for t in search.trials] == [(3, 3, 3, 3)]


def test_mutation_is_uniform_over_layers_and_options():
  problem = problems.make_problem([[0] * 3, [0], [0] * 4])
  rng = random.Random(0)
  counts = collections.Counter(
      mutate(problem, (1, 0, 2), rng) for _ in range(6000)
  )
  assert set(counts) == {
      (0, 0, 2), (2, 0, 2), (1, 0, 0), (1, 0, 1), (1, 0, 3)
  }
  for child, count in counts.items():
    expected = 1500 if child[0] != 1 else 1000
    assert abs(count - expected) < 150


def test_operator_that_is_never_feasible_gives_way_to_random_networks():
  problem = problems.make_problem([[0, 1]] * 2, high=0)
  baseline = type('Nothing', (Baseline,), {'generations': None})()
  drawn = baseline.draw(problem, random.Random(0), lambda: (1, 1))
  assert drawn == (0, 0)
  assert baseline.infeasible == 1000


def test_uniform_over_the_target_interval():
  problem = problems.make_problem([[0, 1, 2]] * 2, low=1, high=2)
  search = Search(problem, RandomSearch(), Budget(trials=5000), reuse=False)
  problems.run(search, problems.RandomResults())
  counts = collections.Counter(t.candidate.architecture for t in search.trials)
  assert set(counts) == {(0, 1), (1, 0), (0, 2), (2, 0), (1, 1)}
  assert all(abs(count - 1000) < 130 for count in counts.values())


def test_many_workers_are_served_at_once():
  problem = problems.make_problem([[0, 1, 2]] * 4)
  search = Search(problem, RandomSearch(), reuse=False)
  assert len(search.ask(16)) == 16


@pytest.mark.parametrize(('kind', 'settings', 'parts'), [
    ('evolution', {'population': 7}, {'population': 7, 'sample': 3}),
    ('model_random', {'networks': 9}, {'networks': 9, 'batch': 5}),
    (OWN, {'rounds': 4}, {'rounds': 4}),
])
def test_settings_reach_a_method(kind, settings, parts):
  method = make_method(kind, **settings)
  assert {name: getattr(method, name) for name in parts} == parts


@pytest.mark.parametrize(('kind', 'settings', 'parts'), [
    ('bohb', {}, ['kind', "'bohb'", "'layernas'", "'evolution'"]),
    ('evolution', {'size': 3}, ["settings: {'size': 3}", 'RegularizedEvol']),
    (OWN, {'round': 1}, ["settings: {'round': 1}", "'rounds'"]),
    ('os:getcwd', {}, ['kind', "'os:getcwd'", 'Strategy']),
])
def test_unknown_methods_and_settings(kind, settings, parts):
  with problems.refuses(*parts):
    make_method(kind, **settings)
