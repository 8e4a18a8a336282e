"""Tests of layernas.study.methods.optuna_samplers."""

import importlib.util
import statistics
import sys

import optuna
import pytest

from layernas.search import Budget
from layernas.search import Search
from layernas.study.methods.optuna_samplers import OptunaSampler
from tests.search import problems


@pytest.mark.parametrize(('name', 'sampler'), [
    ('tpe', optuna.samplers.TPESampler),
    ('nsga2', optuna.samplers.NSGAIISampler),
])
def test_suggestions_are_optunas_own(name, sampler):
  """The same networks as Optuna's own loop with that seed."""
  problem = problems.make_problem([[0, 1, 2]] * 4)
  search = Search(
      problem, OptunaSampler(name), Budget(trials=40), 7, reuse=False
  )
  context_seed = problems.random.Random(7).getrandbits(32)
  problems.run(search, lambda c: problems.Evaluation(
      float(sum(c.architecture))
  ))
  study = optuna.create_study(
      direction='maximize', sampler=sampler(seed=context_seed)
  )
  expected = []

  def objective(trial):
    expected.append(tuple(
        trial.suggest_categorical(str(i), [0, 1, 2]) for i in range(4)
    ))
    return float(sum(expected[-1]))

  study.optimize(objective, n_trials=40)
  assert [t.candidate.architecture for t in search.trials] == expected


def test_unknown_sampler():
  with problems.refuses("'grid'", 'tpe', 'nsga2'):
    OptunaSampler('grid')


def test_missing_package_is_named_with_its_extra(monkeypatch):
  monkeypatch.setitem(sys.modules, 'optuna', None)
  with problems.refuses('pip install optuna'):
    OptunaSampler()


@pytest.mark.parametrize('name', ['tpe', 'nsga2'])
def test_samplers_learn_the_limit(name):
  """Better networks cost more: suggestions crowd at the limit, few beyond."""
  problem = problems.make_problem([[0, 1, 2, 3]] * 6, high=6)
  strategy = OptunaSampler(name)
  search = Search(problem, strategy, Budget(trials=150), 3, reuse=False)
  problems.run(search, lambda c: problems.Evaluation(
      float(sum(c.architecture))
  ))
  assert len(search.trials) == 150
  # Blind sampling rejects nine of ten.
  assert strategy.infeasible < 450
  assert search.best.evaluation.reward == 6.0


def test_ends_where_nothing_new_is_suggested():
  """Nine networks are soon known; suggestions do not go on for ever."""
  problem = problems.make_problem([[0, 1, 2]] * 2)
  search = Search(problem, OptunaSampler('nsga2', suggestions=60))
  problems.run(search, problems.RandomResults())
  assert search.finished
  assert search.stop_reason == '60 suggestions made'
  assert len(search.trials) + search.reused == 60
  with problems.refuses('optuna.suggestions: 0'):
    OptunaSampler(suggestions=0)


def gp(**settings):
  """The sampler gp; None where PyTorch is missing, which is said then."""
  if importlib.util.find_spec('torch') is not None:
    return OptunaSampler('gp', **settings)
  with problems.refuses('PyTorch', 'pip install torch'):
    OptunaSampler('gp')
  return None


def test_missing_torch_is_named(monkeypatch):
  monkeypatch.setattr(
      importlib.util, 'find_spec', lambda name: None if name == 'torch' else 1
  )
  with problems.refuses("optuna.sampler: 'gp'", 'pip install torch'):
    OptunaSampler('gp')
  OptunaSampler('tpe')


@pytest.mark.long
def test_gaussian_process_learns_and_keeps_the_limit():
  """Rewards from 90 on, so that a wrong one for rejected networks would show.

  The reward is the number of layers at option 3, which costs most; four layers
  of six can be there within the limit.
  """
  if (strategy := gp()) is None:
    return
  problem = problems.make_problem([[0, 1, 2, 3]] * 6, high=12)
  search = Search(problem, strategy, Budget(trials=30), 3, reuse=False)
  problems.run(search, lambda c: problems.Evaluation(
      90.0 + c.architecture.count(3)
  ))
  assert len(search.trials) == 30
  assert all(trial.candidate.cost <= 12 for trial in search.trials)
  rewards = [trial.evaluation.reward for trial in search.trials]
  # A random network of the target has 91.3 on average; the first ten are such.
  assert statistics.fmean(rewards[20:]) > 92.5


@pytest.mark.parametrize(('target', 'constraints'), [
    ({'low': 2, 'high': 6}, {'high': 3.0, 'low': -7.0}),
    ({'high': 6}, {'high': 3.0}),
    ({}, {}),
])
def test_gaussian_process_is_told_how_far_the_limits_are(
    monkeypatch, target, constraints
):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)
  strategy = OptunaSampler('gp')
  problem = problems.make_problem([[0, 1, 2, 3]] * 3, **target)
  trial = optuna.create_study().ask()
  strategy._constrain(trial, problem, (3, 3, 3))
  assert trial._trial_id == 0
  assert trial.study.get_trials()[0].constraints == constraints


def test_a_rejected_network_has_the_mean_reward_for_the_gaussian_process(
    monkeypatch,
):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)
  strategy = OptunaSampler('gp')
  study = optuna.create_study(direction='maximize')
  problem = problems.make_problem([[0, 1, 2, 3]] * 3, high=6)
  for architecture, reward in (
      ((3, 3, 3), None), ((0, 0, 0), 90.0), ((1, 1, 1), 92.0), ((3, 3, 3), None)
  ):
    trial = study.ask()
    strategy._constrain(trial, problem, architecture)
    if reward is None:
      strategy._tell_rejected(study, trial)
    else:
      study.tell(trial, reward)
  assert [t.value for t in study.get_trials()] == [None, 90.0, 92.0, 91.0]
