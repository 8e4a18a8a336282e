"""Tests of layernas.search.model_guided."""

import itertools
import random

import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search.layer_pass import TableSettings
from layernas.search.model_based import GuidedSettings
from layernas.search.model_guided import ModelGuided
from tests.search import problems


class Additive:
  """A model that knows the true reward, a sum of a term per layer."""

  def __init__(self, terms):
    self._terms = terms

  def mean(self, architectures):
    return sum(
        np.array(terms, float)[architectures[:, layer]]
        for layer, terms in enumerate(self._terms)
    )

  def children_means(self, prefixes, layer):
    options = np.array(self._terms[layer], float)
    own = options[prefixes[:, layer]]
    return (self.mean(prefixes) - own)[:, None] + options


def searched(seed=0, trials=25, high=9):
  problem = problems.make_problem([[1, 2, 3]] * 4, high=high)
  strategy = ModelGuided(guided=GuidedSettings(design=8, batch=4))
  return Search(problem, strategy, Budget(trials=trials), seed)


def reward(candidate):
  return Evaluation(float(np.dot(candidate.architecture, [4, 3, 2, 1])))


@given(st.data())
@settings(deadline=None)
def test_a_pass_finds_the_constrained_optimum_of_an_additive_reward(data):
  """Costs are small integers, so that each distinct one has its bucket."""
  counts = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
  lists = st.integers(0, 5)
  prices = [data.draw(st.lists(lists, min_size=n, max_size=n)) for n in counts]
  terms = [data.draw(st.lists(lists, min_size=n, max_size=n)) for n in counts]
  low, high = sum(map(min, prices)), sum(map(max, prices))
  problem = problems.make_problem(prices, high=data.draw(
      st.integers(low, high)
  ))
  strategy = ModelGuided(TableSettings(buckets=1000))
  start = tuple(data.draw(st.integers(0, n - 1)) for n in counts)
  order = data.draw(st.permutations(range(len(counts))))
  model = Additive(terms)
  met = strategy.model_pass(model, problem, start, tuple(order))
  feasible = [
      a for a in itertools.product(*map(range, counts))
      if problem.cost.cost(a) in problem.target
  ]
  assert max(met.values()) == model.mean(np.array(feasible)).max()


def test_a_pass_keeps_its_bound():
  problem = problems.make_problem([list(range(4))] * 8)
  strategy = ModelGuided(TableSettings(buckets=3, keep=2))
  terms = [[random.Random(i).random() for i in range(4)]] * 8
  strategy.model_pass(Additive(terms), problem, (0,) * 8, tuple(range(8)))
  assert 0 < strategy.evaluations <= strategy.pass_bound(problem)
  assert strategy.pass_bound(problem) == 3 * 2 * 32


def test_it_stays_in_the_target():
  search = problems.run(searched(), reward)
  assert len(search.trials) == 25
  assert all(t.candidate.cost <= 9 for t in search.trials)


def test_it_finds_the_optimum_of_a_small_space():
  search = problems.run(searched(), reward)
  assert search.incumbent.evaluation.reward == 16
  assert search.best is search.incumbent


def test_it_ends_when_every_network_was_trained():
  search = problems.run(searched(trials=1000, high=5), reward)
  assert len({t.candidate.architecture for t in search.trials}) == 5
  # Two repeats give their rewards again: there is no noise.
  assert len(search.trials) <= 10
  assert search.stop_reason


def test_a_resumed_search_asks_the_same():
  whole = problems.run(searched(), reward)
  resumed = searched()
  resumed.replay(whole.trials[:13])
  assert problems.run(resumed, reward).trials == whole.trials
