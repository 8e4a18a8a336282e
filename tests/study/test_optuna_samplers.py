"""Tests of layernas.study.methods.optuna_samplers."""

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
