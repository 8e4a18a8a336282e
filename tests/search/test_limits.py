"""Limits on further costs, which the answer keeps beside the target."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.errors import UserError
from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Problem
from layernas.search import Search
from layernas.search import TargetInterval
from layernas.search import additive_cost
from layernas.search import make_schedule
from layernas.search.layer_pass import random_start
from layernas.search.problem import Limit
from layernas.search.trace import Trace
from tests.search import problems

SCHEDULES = ('sweep', 'interleaved', 'recentred', 'model_guided')


@st.composite
def limited(draw):
  """A problem with one or two further limits, which some network keeps."""
  space = draw(problems.spaces())
  cost = draw(problems.factored_costs(space))
  limits = []
  for _ in range(draw(st.integers(1, 2))):
    further = draw(problems.factored_costs(space))
    values = [further.cost(one) for one in problems.architectures(space)]
    limits.append(Limit(further, draw(st.sampled_from(values))))
  return Problem(cost, draw(problems.targets(cost)), limits=tuple(limits))


def _kept(problem, architecture):
  """By enumeration, without the problem's own rule."""
  return problem.cost.cost(architecture) in problem.target and all(
      limit.cost.cost(architecture) <= limit.high for limit in problem.limits
  )


@given(limited())
def test_networks_keep_all_limits_or_none_of_them_answers(problem):
  networks = problems.architectures(problem.space)
  kept = [_kept(problem, one) for one in networks]
  costs = [problem.cost.cost(one) for one in networks]
  assert [
      problem.admits(*pair) for pair in zip(networks, costs, strict=True)
  ] == kept
  rows = np.array(networks)
  assert problem.admitted(rows, problem.cost.costs(rows)).tolist() == kept


@given(limited(), problems.SEEDS)
def test_what_is_dropped_has_no_completion_that_may_answer(problem, seed):
  """Sound for every order of the layers; exact where all are decided."""
  rng = random.Random(seed)
  layers = len(problem.space)
  order = rng.sample(range(layers), layers)
  prefixes = [problem.space.default]
  for length, layer in enumerate(order):
    _, feasible = problem.children(np.array(prefixes), order[:length], layer)
    children = []
    for prefix, row in zip(prefixes, feasible.tolist(), strict=True):
      for option, stays in enumerate(row):
        child = prefix[:layer] + (option,) + prefix[layer + 1:]
        children.append(child)
        kept = any(
            _kept(problem, one) for one in problems.completions(
                problem.space, child, order[:length + 1]
            )
        )
        assert stays or not kept
        if length == layers - 1:
          assert stays == kept
    prefixes = rng.sample(children, min(len(children), 9))


def _problem():
  """729 networks; of the target about half keep the limit."""
  plain = problems.make_problem([[1, 2, 3]] * 6, high=14)
  further = additive_cost('params', plain.space, [[5, 3, 1]] * 6)
  return Problem(plain.cost, plain.target, limits=(Limit(further, 16),))


@pytest.mark.parametrize('name', SCHEDULES)
def test_every_schedule_answers_with_a_network_that_keeps_them(name):
  problem = _problem()
  search = Search(problem, make_schedule(name), Budget(trials=120), seed=1)

  def worth(architecture):
    """Largest where the limit is not kept."""
    return float(sum((2, 0, 1)[option] for option in architecture))

  problems.run(search, lambda one: Evaluation(worth(one.architecture)))
  best = search.best.candidate.architecture
  assert problem.further_costs(best)['params'] <= 16
  trained = [trial.candidate.architecture for trial in search.trials]
  assert worth(best) == max(
      worth(one) for one in trained if _kept(problem, one)
  )
  assert search.strategy.infeasible > 0
  if name == 'model_guided':
    assert all(_kept(problem, one) for one in trained)


def test_random_networks_keep_them():
  problem, rng = _problem(), random.Random(0)
  assert all(_kept(problem, random_start(problem, rng)) for _ in range(50))


def test_random_networks_that_are_rare_are_built():
  """One network in 4e9, which drawing would not find."""
  plain = problems.make_problem([[1, 2]] * 32)
  costs = (
      additive_cost(name, plain.space, [prices] * 32)
      for name, prices in (('a', [0, 1]), ('b', [1, 0]))
  )
  a, b = costs
  problem = Problem(plain.cost, limits=(Limit(a, 1), Limit(b, 31)))
  built = random_start(problem, random.Random(0))
  assert sum(built) == 1


def test_the_trace_says_which_limit_a_child_exceeds():
  space = problems.make_space(2, 2)
  problem = Problem(
      additive_cost('madds', space, [[1, 2], [1, 2]]), TargetInterval(high=3),
      limits=(Limit(additive_cost('params', space, [[1, 9], [1, 2]]), 5),),
  )
  search = problems.sweep_of(problem)
  trace = Trace(problem, search.strategy)
  problems.run(search, problems.RandomResults(0))
  recorded = trace.to_dict()
  assert recorded['problem']['limits'] == {'params': 5}
  [first, second] = recorded['passes'][0]['layers']
  assert [one['exceeded'] for one in first['infeasible']] == [{'params': 10}]
  assert not second['infeasible']


def test_a_limit_that_nothing_keeps_is_named():
  problem = _problem()
  with problems.refuses('limits.params: 5', 'at least 6'):
    Problem(problem.cost, limits=(Limit(problem.limits[0].cost, 5),))


@pytest.mark.parametrize('high', ['much', None, True, float('nan')])
def test_a_limit_is_a_number(high):
  with problems.refuses(f'limits.params: {high!r}', 'a number'):
    Limit(_problem().limits[0].cost, high)


def test_a_limit_is_of_the_same_space():
  other = additive_cost('params', problems.make_space(2), [[1, 2]])
  with problems.refuses('limits.params', 'another space'):
    Problem(_problem().cost, limits=(Limit(other, 5),))


def test_limits_that_exclude_each_other_end_the_search_in_one_line():
  """Each can be kept alone, which is all that intervals know."""
  space = problems.make_space(2, 2)
  costs = (
      additive_cost(name, space, [prices] * 2)
      for name, prices in (('a', [0, 1]), ('b', [1, 0]))
  )
  limits = tuple(itertools.starmap(Limit, zip(costs, (0, 0), strict=True)))
  problem = Problem(
      additive_cost('madds', space, [[1, 2]] * 2), limits=limits
  )
  with pytest.raises(UserError, match=r'limits\.a 0, limits\.b 0: no network'):
    Search(problem, 'model_guided').ask()
  sweep = Search(problem, 'sweep')
  problems.run(sweep, problems.RandomResults(0))
  assert sweep.best is None
