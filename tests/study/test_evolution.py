"""Tests of layernas.study.methods.evolution."""

import pytest

from layernas.search import Budget
from layernas.search import Search
from layernas.study.methods.evolution import RegularizedEvolution
from tests.search import problems


def run(evolution, reward, trials=60, seed=0):
  problem = problems.make_problem([[0, 1, 2, 3]] * 5)
  search = Search(
      problem, evolution, Budget(trials=trials), seed, reuse=False
  )
  return problems.run(search, lambda c: problems.Evaluation(reward(c))).trials


def distance(a, b):
  return sum(x != y for x, y in zip(a, b, strict=True))


def test_children_mutate_one_layer_of_a_living_member():
  trials = run(RegularizedEvolution(population=4, sample=2), lambda c: c.id % 5)
  for number in range(4, len(trials)):
    alive = [t.candidate.architecture for t in trials[number - 4:number]]
    child = trials[number].candidate.architecture
    assert 1 in [distance(child, member) for member in alive]


@pytest.mark.parametrize('field', ['population', 'sample'])
@pytest.mark.parametrize('value', [0, -1, 2.5])
def test_settings(field, value):
  with problems.refuses(f'evolution.{field}', repr(value)):
    RegularizedEvolution(**{field: value})


def test_default_start_fills_the_population_with_mutations_of_the_default():
  evolution = RegularizedEvolution(population=6, start='default')
  trials = run(evolution, lambda c: float(sum(c.architecture)), trials=20)
  first, *others = [t.candidate.architecture for t in trials]
  assert first == problems.make_problem([[0, 1, 2, 3]] * 5).space.default
  assert [distance(each, first) for each in others[:5]] == [1] * 5


def test_unknown_start():
  with problems.refuses('evolution.start', "'best'", 'random', 'default'):
    RegularizedEvolution(start='best')
