"""What a reward model ranks highest is trained: model_guided and its base."""

import collections
import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layernas.search import Budget
from layernas.search import Context
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
    costs = self.scaled(context.problem.cost.costs(np.array(inside)))
    means = model.mean(np.array(inside), costs).tolist()
    return dict(zip(inside, means, strict=True))


def search_of(trials, high=100, seed=0, **guided):
  problem = problems.make_problem([[1, 2, 3]] * 4, high=high, default=0)
  return Search(problem, Everything(**guided), Budget(trials=trials), seed)


def total(candidate):
  return Evaluation(float(sum(candidate.architecture)))


def asked(search):
  return [trial.candidate.architecture for trial in search.trials]


def differing(one, other):
  return sum(x != y for x, y in zip(one, other, strict=True))


@pytest.mark.parametrize(('trials', 'design', 'size'), [
    (30, 40, 15), (30, 10, 10), (60, 20, 20), (3, 40, 2),
])
def test_the_design_is_half_of_the_budget_at_most(trials, design, size):
  first = search_of(trials, design=design).ask(100)
  of_default = min(3, max(size // 3, 1))
  assert [one.architecture for one in first].count((0,) * 4) == of_default
  # The first networks say whether the default is a good one.
  assert len({one.architecture for one in first}) == min(6, max(size // 2, 1))
  search = problems.run(search_of(trials, design=design), total)
  assert search.strategy._size(trials) == size
  assert len(set(asked(search)[:size])) == size - of_default + 1


def test_a_design_that_takes_seconds_is_half_of_them():
  def slow(candidate):
    return Evaluation(float(sum(candidate.architecture)), 2.0)

  search = search_of(1000)
  search.budget = Budget(seconds=60.0)
  fits = []
  search.strategy._fit = lambda: fits.append(len(search.strategy._trials))
  problems.run(search, slow)
  assert fits[0] == 15


def test_a_design_that_took_most_of_the_seconds_ends():
  """The rest is the model's, however good the default network is."""
  def slow_near_the_default(candidate):
    return Evaluation(-float(sum(candidate.architecture)), 1.0)

  search = search_of(1000)
  search.budget = Budget(seconds=12.0)
  problems.run(search, slow_near_the_default)
  assert len(search.trials) == 12
  assert search.strategy.batches == 1


def test_a_good_default_network_is_changed_in_one_layer():
  def near_the_default(candidate):
    return Evaluation(-float(sum(candidate.architecture)))

  search = problems.run(search_of(40), near_the_default)
  default = (0, 0, 0, 0)
  assert asked(search)[0] == default
  changes = [differing(one, default) for one in asked(search)[6:14]]
  assert changes == [1] * 8 or changes.count(1) >= 6


def test_from_an_ordinary_default_network_the_design_is_random():
  search = problems.run(search_of(40), total)
  assert asked(search)[0] == (0, 0, 0, 0)
  changes = [differing(one, (0, 0, 0, 0)) for one in asked(search)[6:20]]
  assert np.mean(changes) > 2


def test_the_design_stays_in_the_target():
  search = problems.run(search_of(13, high=5), total)
  assert set(asked(search)) == {
      (0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)
  }
  assert 'not been trained' in search.stop_reason


def test_a_default_network_off_the_target_is_not_trained():
  problem = problems.make_problem([[3, 2, 1]] * 4, high=9, default=0)
  search = problems.run(
      Search(problem, Everything(), Budget(trials=20)), total
  )
  assert (0, 0, 0, 0) not in asked(search)
  assert all(trial.candidate.cost <= 9 for trial in search.trials)


def test_batches_go_where_the_model_expects_most():
  search = problems.run(search_of(30, optimism=(0.0,)), total)
  assert (2, 2, 2, 2) in asked(search)[15:25]


def test_the_answer_is_the_models_and_not_the_luckiest_reward():
  """An additive reward and one network with a lucky one."""
  lucky = search_of(60).ask(2)[1].architecture

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
  assert counts.pop((0, 0, 0, 0)) == (1 if trainings == 1 else 3)
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
  costs = strategy.scaled(search.problem.cost.costs(np.array(unseen)))
  means, deviations = strategy._model.mean_and_deviation(
      np.array(unseen), costs
  )
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

  def mean(self, architectures, costs=None):
    del costs
    return sum(
        np.array(terms, float)[architectures[:, layer]]
        for layer, terms in enumerate(self._terms)
    )

  def children_means(self, prefixes, layer, costs):
    del costs
    options = np.array(self._terms[layer], float)
    own = options[prefixes[:, layer]]
    return (self.mean(prefixes) - own)[:, None] + options


def guided_search(seed=0, trials=25, high=9):
  problem = problems.make_problem([[1, 2, 3]] * 4, high=high)
  strategy = ModelGuided(design=8, batch=4)
  return Search(problem, strategy, Budget(trials=trials), seed)


def weighted(candidate):
  return Evaluation(float(np.dot(candidate.architecture, [4, 3, 2, 1])))


def opened(strategy, problem):
  """A strategy that has begun."""
  next(strategy.generations(Context(problem, random.Random(0), lambda: None)))
  return strategy


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
  strategy = opened(ModelGuided(buckets=1000), problem)
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
  strategy = opened(ModelGuided(buckets=3, keep=2), problem)
  terms = [[random.Random(i).random() for i in range(4)]] * 8
  strategy.model_pass(Additive(terms), problem, (0,) * 8, tuple(range(8)))
  assert 0 < strategy.evaluations <= strategy.pass_bound(problem)
  assert strategy.pass_bound(problem) == 3 * 2 * 32


def test_it_finds_the_optimum_of_a_small_space():
  search = problems.run(guided_search(), weighted)
  assert all(trial.candidate.cost <= 9 for trial in search.trials)
  assert search.incumbent.evaluation.reward == 16
  assert search.best is search.incumbent


@pytest.mark.parametrize('seed', range(3))
def test_batches_and_order_of_results_do_not_matter(seed):
  one_by_one, disordered = (search_of(30, seed=seed) for _ in range(2))
  fits = []
  for search in (one_by_one, disordered):
    fits.append(of_search := [])
    fit = search.strategy._fit

    def counted(fit=fit, search=search, of_search=of_search):
      of_search.append(len(search.strategy._trials))
      fit()

    search.strategy._fit = counted
  problems.run(one_by_one, noisy)
  problems.run_in_disorder(disordered, noisy, random.Random(seed))
  assert disordered.trials == one_by_one.trials
  # What a model has learned depends on when it was fitted.
  assert fits[0] == fits[1]
  assert disordered.best == one_by_one.best


def test_a_resumed_search_asks_the_same():
  whole = problems.run(guided_search(), weighted)
  resumed = guided_search()
  resumed.replay(whole.trials[:13])
  assert problems.run(resumed, weighted).trials == whole.trials


def test_the_default_answers_unless_the_model_is_sure():
  """A network that is a little better, under noise."""
  def evaluate(candidate):
    error = random.Random(candidate.seed).gauss(0, 5.0)
    return Evaluation(0.01 * sum(candidate.architecture) + error)

  answers = {
      certainty: [
          problems.run(
              search_of(20, certainty=certainty, seed=seed), evaluate
          ).best.candidate.architecture
          for seed in range(16)
      ]
      for certainty in (0.5, 0.999)
  }
  default = (0, 0, 0, 0)
  counts = {one: found.count(default) for one, found in answers.items()}
  assert counts[0.5] <= 3
  assert counts[0.999] >= 10


def test_a_network_that_is_far_better_answers():
  def evaluate(candidate):
    error = random.Random(candidate.seed).gauss(0, 0.5)
    return Evaluation(sum(candidate.architecture) + error)

  search = problems.run(search_of(40, certainty=0.99), evaluate)
  assert sum(search.best.candidate.architecture) >= 7


def test_random_candidates_stand_beside_those_of_the_passes():
  problem = problems.make_problem([[1, 2, 3]] * 8, high=16)
  found = {}
  for count in (0, 300):
    strategy = ModelGuided(buckets=1, keep=1, random=count)
    search = Search(problem, strategy, Budget(trials=30))
    problems.run(search, total)
    found[count] = strategy.candidates(
        strategy._context, strategy._model, (0,) * 8
    )
  assert len(found[300]) > len(found[0]) + 100
  assert all(
      problem.cost.cost(one) <= 16 for met in found.values() for one in met
  )


def test_the_plan_is_said():
  problem = problems.make_problem([[1, 2, 3]] * 4)
  plan = ModelGuided(design=20).plan(problem, 30)
  assert plan == ['15 for the design', '15 for what the model picks']
  for trials, design, picked in ((1, 1, 0), (2, 2, 0), (5, 2, 3)):
    words = [f'{design} for the design', f'{picked} for what the model picks']
    assert ModelGuided().plan(problem, trials) == words


def test_costs_of_zero_and_below_are_scaled():
  for prices in ([0, 1, 2], [-5, 0, 5]):
    problem = problems.make_problem([prices] * 4)
    search = problems.run(Search(problem, ModelGuided(), Budget(25)), total)
    assert search.best.candidate.architecture == (2, 2, 2, 2)


def test_equal_costs_are_no_scale():
  """The mean of equal logarithms is not always one of them to the bit."""
  problem = problems.make_problem([[1_800_000, 3_600_000]], high=1_800_000)
  search = problems.run(Search(problem, ModelGuided(), Budget(3)), total)
  assert search.strategy.scaled(np.array([3_600_000]))[0] < 1
