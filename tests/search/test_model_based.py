"""Tests of layernas.search.model_based."""

import itertools

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
  search = problems.run(search_of(10, high=5), total)
  assert set(asked(search)) == {
      (0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)
  }
  assert 'not been trained' in search.stop_reason


def test_batches_go_where_the_model_expects_most():
  search = problems.run(search_of(30, optimism=0.0), total)
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


@pytest.mark.parametrize(
    ('field', 'value'), [('design', 0), ('batch', 0), ('optimism', -1.0)]
)
def test_settings_are_checked(field, value):
  with problems.refuses(f'search.guided.{field}', str(value)):
    GuidedSettings(**{field: value})
