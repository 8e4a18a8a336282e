"""What a reward model ranks highest is trained: model_guided and its base."""

import collections
import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Search
from layernas.search import Status
from layernas.search.model_based import ModelBased
from layernas.search.model_guided import ModelGuided
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
  return Search(problem, Everything(**guided), Budget(trials=trials))


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


def test_failures_do_not_stop_it():
  def evaluate(candidate):
    if candidate.architecture[0] == 1:
      return Evaluation(None, status=Status.FAILED)
    return total(candidate)

  search = problems.run(search_of(40), evaluate)
  assert len(search.trials) == 40
  assert search.best.candidate.architecture == (2, 2, 2, 2)


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


def test_rewards_without_noise_are_not_repeated_for_long():
  search = problems.run(search_of(75), total)
  assert len(repeated(search)) <= search.strategy.batch


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


def guided_search(seed=0, trials=25, high=9):
  problem = problems.make_problem([[1, 2, 3]] * 4, high=high)
  strategy = ModelGuided(design=8, batch=4)
  return Search(problem, strategy, Budget(trials=trials), seed)


def weighted(candidate):
  return Evaluation(float(np.dot(candidate.architecture, [4, 3, 2, 1])))


@given(st.data())
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
  strategy = ModelGuided(buckets=1000)
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
  strategy = ModelGuided(buckets=3, keep=2)
  terms = [[random.Random(i).random() for i in range(4)]] * 8
  strategy.model_pass(Additive(terms), problem, (0,) * 8, tuple(range(8)))
  assert 0 < strategy.evaluations <= strategy.pass_bound(problem)
  assert strategy.pass_bound(problem) == 3 * 2 * 32


def test_it_finds_the_optimum_of_a_small_space():
  search = problems.run(guided_search(), weighted)
  assert all(trial.candidate.cost <= 9 for trial in search.trials)
  assert search.incumbent.evaluation.reward == 16
  assert search.best is search.incumbent


def test_a_resumed_search_asks_the_same():
  whole = problems.run(guided_search(), weighted)
  resumed = guided_search()
  resumed.replay(whole.trials[:13])
  assert problems.run(resumed, weighted).trials == whole.trials
