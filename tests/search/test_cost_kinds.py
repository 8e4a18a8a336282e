"""Every schedule searches whatever the cost is: a formula, or what was counted.

A space over Flax modules has costs of factors that were found by counting, or,
where there are none, of whole networks alone.
"""

import numpy as np
import pytest

from examples.own_schedule import CoordinateDescent
from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Problem
from layernas.search import Search
from layernas.search import TargetInterval
from layernas.search import make_schedule
from layernas.search.cost import CountedCost
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.cost import JointlyBoundedCost
from layernas.search.decomposition import decompose
from layernas.search.schedules import SCHEDULES
from tests.search import problems

_SPACE = problems.make_space(3, 3, 3, 3, 3)

# Neighbouring widths multiply, with a larger default than the target allows.
_FACTORS = [
    Factor((i, i + 1), np.outer((2, 3, 4), (1, 2, 4))) for i in range(4)
]
_FORMULA = FactoredCost('madds', _SPACE, _FACTORS, 'MAdds')
_TARGET = TargetInterval(20, 30)

_SCHEDULES = {
    **{name: lambda name=name: make_schedule(name) for name in SCHEDULES},
    'own': CoordinateDescent,
}


def _found_by_counting() -> JointlyBoundedCost:
  found = decompose(_SPACE, _FORMULA.cost)
  assert found.factors
  return found.cost('madds', 'MAdds', _FORMULA.cost)


def _searched(cost, schedule, trials=60, seed=0):
  search = Search(
      Problem(cost, _TARGET), _SCHEDULES[schedule](), Budget(trials=trials),
      seed,
  )
  return problems.run(search, _reward)


def _reward(candidate):
  return Evaluation(_value(candidate.architecture))


def _value(architecture):
  best = (2, 0, 1, 2, 1)
  return -float(sum(
      abs(one - other) for one, other in zip(architecture, best, strict=True)
  ))


@pytest.mark.parametrize('schedule', _SCHEDULES)
def test_counted_factors_give_the_trials_of_the_formula(schedule):
  """These bounds are exact for both: the costs grow with every option."""
  trials = [
      [(t.candidate.architecture, t.candidate.cost, t.candidate.seed)
       for t in _searched(cost, schedule).trials]
      for cost in (_FORMULA, _found_by_counting())
  ]
  assert trials[0] == trials[1]
  assert trials[0]


@pytest.mark.parametrize('schedule', _SCHEDULES)
def test_where_whole_networks_alone_are_known_answers_lie_in_the_target(
    schedule
):
  calls = []

  def count(architecture):
    calls.append(architecture)
    return _FORMULA.cost(architecture)

  search = _searched(CountedCost('madds', _SPACE, count), schedule)
  assert search.best is not None
  assert search.best.candidate.cost in _TARGET
  for trial in search.trials:
    assert trial.candidate.cost == _FORMULA.cost(trial.candidate.architecture)
  # Each network is counted once.
  assert len(calls) == len(set(calls))
  again = _searched(CountedCost('madds', _SPACE, _FORMULA.cost), schedule)
  assert [t.to_dict() for t in again.trials] == [
      t.to_dict() for t in search.trials
  ]


def test_model_guided_finds_the_best_without_intervals():
  cost = CountedCost('madds', _SPACE, _FORMULA.cost)
  best = max(
      _value(one) for one in problems.architectures(_SPACE)
      if _FORMULA.cost(one) in _TARGET
  )
  search = _searched(cost, 'model_guided', trials=80)
  assert search.best.evaluation.reward == best
