"""Tests of layernas.search.model_based."""

import collections
import itertools
import random

import numpy as np
import pytest

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import Status
from layernas.search.model_based import GuidedSettings
from layernas.search.model_based import ModelBased
from tests.search import problems


class Everything(ModelBased):
  """All networks in the target are candidates."""

  infeasible = 0

  def candidates(self, context, model, best):
    del best
    every = itertools.product(*map(range, context.problem.space.option_counts))
    inside = [a for a in every if context.problem.cost.cost(a)
              in context.problem.target]
    means = model.mean(np.array(inside)).tolist()
    return dict(zip(inside, means, strict=True))


def search_of(trials, high=100, **guided):
  problem = problems.make_problem([[1, 2, 3]] * 4, high=high, default=0)
  return Search(
      problem, Everything(GuidedSettings(**guided)), Budget(trials=trials)
  )


def total(candidate):
  return Evaluation(float(sum(candidate.architecture)))


def asked(search):
  return [trial.candidate.architecture for trial in search.trials]


def test_the_design_is_the_default_its_changes_and_random_networks():
  search = problems.run(search_of(14), total)
  expected = {(0,) * 4} | {
      tuple(option if i == layer else 0 for i in range(4))
      for layer in range(4) for option in (1, 2)
  }
  assert set(asked(search)[:9]) == expected
  assert len(set(asked(search))) == 14


def test_of_a_large_neighbourhood_twice_the_design_is_drawn():
  search = problems.run(search_of(9, design=2), total)
  changed = [sum(o > 0 for o in a) for a in asked(search)]
  assert max(changed[:4]) <= 1


def test_the_design_stays_in_the_target():
  search = problems.run(search_of(13, high=5), total)
  assert set(asked(search)) == {
      (0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)
  }
  assert 'not been trained' in search.stop_reason


def test_batches_go_where_the_model_expects_most():
  search = problems.run(search_of(30, optimism=(0.0,)), total)
  assert (2, 2, 2, 2) in asked(search)[20:25]


def test_the_answer_is_the_models_and_not_the_luckiest_reward():
  """An additive reward and one network with a lucky one."""
  lucky = (1, 0, 0, 0)

  def evaluate(candidate):
    reward = 9.0 if candidate.architecture == lucky else float(
        sum(candidate.architecture)
    )
    return Evaluation(reward)

  search = problems.run(search_of(60), evaluate)
  assert search.incumbent.candidate.architecture == lucky
  assert search.best.candidate.architecture == (2, 2, 2, 2)


def test_the_last_trial_counts_for_the_answer():
  """The best network is the last trial, in the middle of a batch."""
  problem = problems.make_problem([[0, 1, 2, 3]])
  for trials in range(2, 5):
    search = Search(problem, Everything(GuidedSettings(design=1)),
                    Budget(trials=trials))
    problems.run(search, lambda c: Evaluation(float(c.id)))
    assert search.strategy._fitted == trials


def test_failures_do_not_stop_it():
  def evaluate(candidate):
    if candidate.architecture[0] == 1:
      return Evaluation(None, status=Status.FAILED)
    return total(candidate)

  search = problems.run(search_of(40), evaluate)
  assert len(search.trials) == 40
  assert search.best.candidate.architecture == (2, 2, 2, 2)


def test_without_any_reward_there_is_no_answer():
  search = problems.run(
      search_of(20), lambda c: Evaluation(None, status=Status.FAILED)
  )
  assert len(search.trials) == 20
  assert search.best is None


def repeated(search):
  """Networks that were trained more than once."""
  counts = collections.Counter(asked(search))
  return {one for one, count in counts.items() if count > 1}


def noisy(candidate):
  """The reward's error depends on the training, not on the network."""
  error = random.Random(candidate.seed).gauss(0, 2.0)
  return Evaluation(sum(candidate.architecture) + error)


@pytest.mark.parametrize('trainings', [1, 2, 3])
def test_a_network_is_trained_so_often_at_most(trainings):
  search = problems.run(search_of(60, trainings=trainings), noisy)
  counts = collections.Counter(asked(search))
  assert max(counts.values()) == trainings
  seeds = {trial.candidate.seed for trial in search.trials}
  assert len(seeds) == len(search.trials) == 60


def test_what_is_repeated_looked_good():
  search = problems.run(search_of(60), noisy)
  first = {}
  for trial in search.trials:
    first.setdefault(trial.candidate.architecture, trial.evaluation.reward)
  again = repeated(search)
  assert again
  assert np.mean([first[one] for one in again]) > np.mean(list(first.values()))


def test_only_networks_in_the_target_are_repeated():
  search = problems.run(search_of(40, high=7), noisy)
  assert all(trial.candidate.cost <= 7 for trial in search.trials)
  assert repeated(search)


def test_rewards_without_noise_are_not_repeated_for_long():
  search = problems.run(search_of(75), total)
  assert len(repeated(search)) <= search.strategy.guided.batch


def test_a_batch_takes_the_optimisms_in_turn():
  """The first of a batch has the best mean, the second is little known."""
  search = search_of(20, optimism=(0.0, 1000.0), batch=2, trainings=1)
  problems.run(search, total)
  strategy = search.strategy
  unseen = [
      a for a in itertools.product(range(3), repeat=4) if a not in asked(search)
  ]
  means, deviations = strategy._model.mean_and_deviation(np.array(unseen))
  search.budget = Budget(trials=22)
  search.stop_reason = ''
  problems.run(search, total)
  assert asked(search)[20:] == [
      unseen[means.argmax()], unseen[(means + 1000 * deviations).argmax()]
  ]


@pytest.mark.parametrize(('field', 'value'), [
    ('design', 0), ('batch', 0), ('optimism', (-1.0,)), ('optimism', ()),
    ('trainings', 0),
])
def test_settings_are_checked(field, value):
  with problems.refuses(f'search.guided.{field}', str(value)):
    GuidedSettings(**{field: value})
