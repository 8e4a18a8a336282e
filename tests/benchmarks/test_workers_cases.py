"""What candidates of the simulated searches take and give."""

import dataclasses

import numpy as np
import pytest

from tests.search import problems
from tools.perf.workers_cases import CASES
from tools.perf.workers_cases import Times
from tools.perf.workers_cases import search_of
from tools.perf.workers_cases import synthetic_rewards
from tools.perf.workers_cases import task_of
from tools.perf.workers_cases import with_losses

_SMALL = CASES['imagenet_v3_small_60m: sweep, H = 5']


class _Drawn:
  """Gives these times until a worker is lost."""

  def __init__(self, *times):
    self._times = iter(times)

  def exponential(self, mean):
    assert mean == 10
    return next(self._times)


@pytest.mark.parametrize(('drawn', 'time'), [
    ([3.0], 3.0),
    # At 1.5 all but the first is lost, at 1.25 after that another one.
    ([1.5, 1.25, 9.0], 1.5 + 0.5 + 1.25 + 0.5 + 1.0),
    # Before the first checkpoint all is.
    ([0.5, 9.0], 0.5 + 0.5 + 3.0),
])
def test_losses(drawn, time):
  times = Times(between_losses=10, checkpoint=1, restart=0.5)
  assert with_losses(3.0, times, _Drawn(*drawn)) == time


def test_time_is_that_of_the_madds():
  search = search_of(_SMALL)
  space, cost = search.problem.space, search.problem.cost
  task = task_of(_SMALL, Times(jitter=0))
  assert task(space.default).time == 1
  [candidate] = search.ask()
  other = tuple(count - 1 for count in space.option_counts)
  ratio = cost.cost(other) / cost.cost(space.default)
  assert task(other).time == pytest.approx(ratio)
  assert task(candidate.architecture) == task_of(_SMALL, Times(jitter=0))(
      candidate.architecture
  )


def test_jitter_and_losses_change_the_time_alone():
  space = search_of(_SMALL).problem.space
  lost = dataclasses.replace(_SMALL, losses=True)
  tasks = [
      task_of(case, times)(space.default) for case, times in [
          (_SMALL, Times(jitter=0)), (_SMALL, Times(jitter=0.1)),
          (lost, Times(jitter=0.1, between_losses=0.3)),
      ]
  ]
  assert len({one.time for one in tasks}) == 3
  assert len({one.reward for one in tasks}) == 1


def test_rewards_are_terms_of_layers_and_of_neighbours():
  space = problems.make_space(2, 3, 2)
  rewards = synthetic_rewards(space, seed=1)
  assert [one.scope for one in rewards.factors] == [
      (0,), (1,), (2,), (0, 1), (1, 2)
  ]
  again = synthetic_rewards(space, seed=1)
  other = synthetic_rewards(space, seed=2)
  one = (1, 2, 0)
  assert rewards.cost(one) == again.cost(one) != other.cost(one)


def test_terms_of_neighbours_are_a_quarter_of_the_layers_variance():
  rewards = synthetic_rewards(problems.make_space(*[200] * 5), seed=0)
  variances = [np.var(one.table) for one in rewards.factors]
  assert sum(variances[:5]) == pytest.approx(5, rel=0.1)
  assert sum(variances[5:]) == pytest.approx(5 / 4, rel=0.1)


@pytest.mark.parametrize('name', CASES)
def test_cases_are_what_they_are_called(name):
  case = CASES[name]
  search = search_of(case)
  assert case.schedule in case.label or case.label.startswith('sweep')
  assert type(search.strategy).__name__.lower() == (
      case.schedule.replace('_', '')
  )
  if 'H = ' in case.label:
    buckets = int(case.label.partition('H = ')[2].partition(',')[0])
    assert search.strategy.buckets == buckets
