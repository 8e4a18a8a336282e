"""Tests of layernas.study.methods.model_random."""

import pytest

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.study.methods.model_random import ModelRandom
from tests.search import problems


def searched(trials=40, high=9, **settings):
  problem = problems.make_problem([[1, 2, 3]] * 4, high=high)
  return Search(problem, ModelRandom(**settings), Budget(trials=trials), 3)


def reward(candidate):
  terms = zip(candidate.architecture, (4, 3, 2, 1), strict=True)
  return Evaluation(float(sum(option * term for option, term in terms)))


def test_it_finds_the_optimum_in_the_target():
  search = problems.run(searched(trials=40, trainings=1), reward)
  asked = [trial.candidate.architecture for trial in search.trials]
  assert len(set(asked)) == len(asked) == 40
  assert all(trial.candidate.cost <= 9 for trial in search.trials)
  assert search.best.evaluation.reward == 16


def test_a_narrow_target_still_gets_candidates():
  search = problems.run(searched(trials=5, high=4, networks=1), reward)
  assert [t.candidate.architecture for t in search.trials] == [(0, 0, 0, 0)]
  assert search.stop_reason


@pytest.mark.parametrize('networks', [0, 1.5])
def test_settings_are_checked(networks):
  with problems.refuses('model_random.networks', str(networks)):
    ModelRandom(networks=networks)
