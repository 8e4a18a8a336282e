"""Tests of layernas.search.reward_model."""

import itertools

import numpy as np
import pytest

from layernas.search.reward_model import Kernel
from layernas.search.reward_model import RewardModel
from layernas.search.reward_model import normal_scores
from layernas.search.reward_model import standard_scores

COUNTS = (2, 3, 4)
ALL = np.array(list(itertools.product(*map(range, COUNTS))))
COSTS = np.random.default_rng(7).standard_normal(len(ALL))


def costs_of(architectures):
  """Costs of architectures, drawn at random for each."""
  return COSTS[np.ravel_multi_index(np.transpose(architectures), COUNTS)]


def fitted(seed=0, count=12, noise=0.0):
  rng = np.random.default_rng(seed)
  chosen = ALL[rng.choice(len(ALL), count, replace=False)]
  effects = [rng.standard_normal(n) for n in COUNTS]
  rewards = sum(e[chosen[:, i]] for i, e in enumerate(effects))
  rewards = rewards + noise * rng.standard_normal(count)
  model = RewardModel(COUNTS)
  model.fit(chosen, costs_of(chosen), rewards)
  return model, chosen, rewards


def kernel(first, second, variances):
  """Kernel of two architectures, written out layer by layer."""
  z = [1.0 if a == b else -1 / (n - 1)
       for a, b, n in zip(first, second, COUNTS, strict=True)]
  pairs = [x * y for x, y in itertools.combinations(z, 2)]
  differing = sum(a != b for a, b in zip(first, second, strict=True))
  single, pair, rest, cost, _ = variances
  return (1 + single * np.mean(z) + pair * np.mean(pairs)
          + rest * 0.5**differing
          + cost * costs_of([first])[0] * costs_of([second])[0])


def test_the_posterior_is_that_of_a_dense_computation():
  model, chosen, rewards = fitted()
  variances = model.variances
  known = np.array([[kernel(a, b, variances) for b in chosen] for a in chosen])
  known += (variances[4] + 1e-6) * np.eye(len(chosen))
  cross = np.array([[kernel(a, b, variances) for b in chosen] for a in ALL])
  scores = standard_scores(rewards)
  mean = cross @ np.linalg.solve(known, scores)
  scale = scores @ np.linalg.solve(known, scores) / len(scores)
  left = np.array([kernel(a, a, variances) - row @ np.linalg.solve(known, row)
          for a, row in zip(ALL, cross, strict=True)])
  means, deviations = model.mean_and_deviation(ALL, COSTS)
  np.testing.assert_allclose(means, mean, atol=1e-8)
  np.testing.assert_allclose(model.mean(ALL, COSTS), mean, atol=1e-8)
  np.testing.assert_allclose(deviations, np.sqrt(scale * left), atol=1e-6)
  same, covariance = model.mean_and_covariance(ALL, COSTS)
  np.testing.assert_allclose(same, mean, atol=1e-8)
  np.testing.assert_allclose(
      np.sqrt(covariance.diagonal()), deviations, atol=1e-6
  )
  between = kernel(ALL[0], ALL[1], variances) - cross[0] @ np.linalg.solve(
      known, cross[1]
  )
  assert covariance[0, 1] == pytest.approx(scale * between)


def test_effects_of_options_are_those_of_a_dense_computation():
  model, chosen, rewards = fitted(noise=0.3)
  variances = model.variances
  known = np.array([[kernel(a, b, variances) for b in chosen] for a in chosen])
  known += (variances[4] + 1e-6) * np.eye(len(chosen))
  cross = np.array([
      [
          variances[0] / len(COUNTS) * (
              1.0 if one[layer] == option else -1 / (count - 1)
          ) for one in chosen
      ]
      for layer, count in enumerate(COUNTS) for option in range(count)
  ])
  scores = standard_scores(rewards)
  scale = scores @ np.linalg.solve(known, scores) / len(scores)
  left = variances[0] / len(COUNTS) - np.einsum(
      'ij,ji->i', cross, np.linalg.solve(known, cross.T)
  )
  means, deviations = model.effects()
  np.testing.assert_allclose(
      means, cross @ np.linalg.solve(known, scores), atol=1e-8
  )
  np.testing.assert_allclose(deviations, np.sqrt(scale * left), atol=1e-6)
  for start, count in zip((0, 2, 5), COUNTS, strict=True):
    assert means[start:start + count].sum() == pytest.approx(0, abs=1e-8)


def test_single_layers_explain_an_additive_reward():
  single, *others = fitted(count=24)[0].variances
  assert single > 10 * max(others)


def test_the_cost_explains_rewards_that_grow_with_it():
  """Few trials of many layers, so that single layers cannot."""
  rng = np.random.default_rng(0)
  counts = (3,) * 20
  chosen, costs = rng.integers(0, 3, (12, 20)), rng.standard_normal(12)
  model = RewardModel(counts)
  model.fit(chosen, costs, 2 * costs)
  other = rng.integers(0, 3, (1, 20)).repeat(2, axis=0)
  low, high = model.mean(other, np.array([-1.0, 1.0]))
  assert high - low > 1.5
  np.testing.assert_allclose(
      model.children_means(other[:1], 4, np.array([[-1.0, 0.0, 1.0]])),
      model.mean(_children(other[0], 4, 3), np.array([-1.0, 0.0, 1.0]))[None],
      atol=1e-9,
  )


def _children(prefix, layer, options):
  children = np.repeat(prefix[None], options, axis=0)
  children[:, layer] = np.arange(options)
  return children


def test_few_noisy_rewards_are_neither_all_noise_nor_none():
  rng = np.random.default_rng(3)
  for _ in range(20):
    chosen = rng.integers(0, 3, (15, 28))
    model = RewardModel((3,) * 28)
    model.fit(chosen, np.zeros(15), rng.standard_normal(15))
    assert 0.02 < model.variances[-1] < 5


def test_repeats_count_as_observations_of_the_same_architecture():
  chosen = ALL[[0, 0, 5, 5, 11, 17]]
  model = RewardModel(COUNTS)
  model.fit(chosen, np.zeros(6), np.array([1.0, 3.0, 0.0, 0.5, 2.0, 1.5]))
  assert np.diff(model.mean(ALL[[5, 0]], np.zeros(2))) > 0


def test_scores_follow_ranks_and_ties_share_theirs():
  scores = normal_scores(np.array([-1e9, 2.0, 2.0, 3.0]))
  assert scores[1] == scores[2] == 0.0
  assert scores[0] == -scores[3]


def test_scores_are_deviations_unless_few_rewards_are_far_worse():
  rewards = np.array([0.0, 0.1, 0.4, 1.5])
  np.testing.assert_allclose(
      standard_scores(rewards), (rewards - 0.5) / rewards.std()
  )
  skewed = np.array([-1e9, 2.0, 2.5, 3.0, 4.0])
  np.testing.assert_allclose(standard_scores(skewed), normal_scores(skewed))
  assert not standard_scores(np.full(3, 0.4)).any()


@pytest.mark.parametrize('unit', [1e-300, 1e-99, 1e99, 1e300])
def test_scores_do_not_depend_on_the_unit_of_rewards(unit):
  rewards = np.array([-3.0, 0.5, 1.0, 1.25])
  np.testing.assert_allclose(
      standard_scores(unit * rewards), standard_scores(rewards)
  )


def test_fitting_returns_the_means_of_what_it_was_fitted_to():
  model, chosen, rewards = fitted(noise=0.5)
  np.testing.assert_allclose(
      model.fit(chosen, costs_of(chosen), rewards),
      model.mean(chosen, costs_of(chosen)), atol=1e-9,
  )


def test_a_fit_in_steps_is_the_fit_of_a_fresh_model():
  """More trials, a repeat among them, without learning the variances anew."""
  rng = np.random.default_rng(0)
  chosen = ALL[[*range(20), 3]]
  rewards = rng.standard_normal(21)
  stepwise, fresh = RewardModel(COUNTS), RewardModel(COUNTS)
  costs = costs_of(chosen)
  stepwise.fit(chosen[:20], costs[:20], rewards[:20])
  stepwise.fit(chosen, costs, rewards)
  fresh.fit(chosen[:20], costs[:20], rewards[:20])
  fresh.fit(chosen[::-1], costs[::-1], rewards[::-1])
  assert stepwise.variances == fresh.variances
  for one, other in zip(
      stepwise.mean_and_deviation(ALL, COSTS),
      fresh.mean_and_deviation(ALL, COSTS), strict=True,
  ):
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_errors_do_not_grow_from_fit_to_fit():
  """Many steps with repeats and little noise."""
  rng = np.random.default_rng(1)
  counts = (3,) * 8
  chosen = rng.integers(0, 3, (200, 8))
  chosen[150:] = chosen[:50]
  costs = chosen[:, 0] - 1.0
  rewards = chosen.sum(axis=1) + 0.1 * rng.standard_normal(200)
  stepwise, fresh = RewardModel(counts), RewardModel(counts)
  for model in (stepwise, fresh):
    model.fit(chosen[:190], costs[:190], rewards[:190])
  for count in range(190, 201):
    stepwise.fit(chosen[:count], costs[:count], rewards[:count])
  fresh.fit(chosen[::-1], costs[::-1], rewards[::-1])
  assert stepwise.variances == fresh.variances
  np.testing.assert_allclose(
      stepwise.mean(chosen, costs), fresh.mean(chosen, costs), atol=1e-7
  )


@pytest.mark.parametrize('layer', range(len(COUNTS)))
def test_means_of_children_are_those_of_networks(layer):
  model, _, _ = fitted()
  prefixes = ALL[::5]
  children = np.repeat(prefixes[:, None], COUNTS[layer], axis=1)
  children[:, :, layer] = np.arange(COUNTS[layer])
  costs = costs_of(children.reshape(-1, len(COUNTS))).reshape(
      len(prefixes), COUNTS[layer]
  )
  np.testing.assert_allclose(
      model.children_means(prefixes, layer, costs).ravel(),
      model.mean(children.reshape(-1, len(COUNTS)), costs.ravel()), atol=1e-9,
  )


SEVEN = (3,) * 7
EVERY = np.array(list(itertools.product(*map(range, SEVEN))))
FREE = np.zeros(len(EVERY))


def rewards_of_two_tasks(rng):
  """Effects of layers and pairs; the second task shares most of them."""
  first, second = np.zeros(len(EVERY)), np.zeros(len(EVERY))
  for layer in range(7):
    for after in (None, (layer + 1) % 7):
      shared, own = 0.6 * rng.standard_normal((2, 3, 3))
      columns = EVERY[:, layer], EVERY[:, layer if after is None else after]
      first += shared[columns]
      second += (shared + 0.5 * own)[columns]
  return first, second


def model_of(rng, rewards, count, others=()):
  """A model of the rewards of some architectures, with noise."""
  chosen = rng.choice(len(EVERY), count, replace=False)
  noise = 0.3 * rng.standard_normal(count)
  model = RewardModel(SEVEN, others)
  model.fit(EVERY[chosen], FREE[chosen], rewards[chosen] + noise)
  return model


def agreement(model, rewards):
  """How well a model ranks all architectures, from -1 to 1."""
  means = normal_scores(model.mean(EVERY, FREE))
  return np.corrcoef(means, normal_scores(rewards))[0, 1]


def agreements(count, mislead):
  """Of models of few trials without another task, and with one; shape (2, n).

  Args:
    count: trials.
    mislead: whether the other task has the rewards of other architectures.
  """
  found = []
  for seed in range(15):
    rng = np.random.default_rng(seed)
    first, second = rewards_of_two_tasks(rng)
    given = rng.permutation(first) if mislead else first
    other = model_of(rng, given, 60)
    found.append([
        agreement(model_of(np.random.default_rng(seed), second, count, one),
                  second)
        for one in ((), [other])
    ])
  return np.transpose(found)


def test_a_task_that_is_alike_ranks_from_few_trials():
  without, with_other = agreements(8, mislead=False)
  assert with_other.mean() > without.mean() + 0.2
  without, with_other = agreements(60, mislead=False)
  assert with_other.mean() > without.mean()


def test_a_task_that_misleads_is_ignored_as_trials_grow():
  lost = []
  for count in (8, 60):
    without, with_other = agreements(count, mislead=True)
    lost.append(without.mean() - with_other.mean())
  assert lost[1] < 0.01
  assert lost[0] < 0.1


def test_what_another_task_expects_is_a_linear_effect():
  rng = np.random.default_rng(4)
  first, second = rewards_of_two_tasks(rng)
  other = model_of(rng, first, 40)
  model = RewardModel(SEVEN, [other])
  chosen = rng.choice(len(EVERY), 10, replace=False)
  costs = rng.standard_normal(len(EVERY))
  model.fit(EVERY[chosen], costs[chosen], second[chosen])
  *parts, cost, slope, noise = model.variances
  kernel_of = Kernel(SEVEN)
  features = kernel_of.one_hot(EVERY)
  expected = other.mean(EVERY, costs)
  covariance = (
      kernel_of.covariance(features, features[chosen], parts)
      + cost * np.outer(costs, costs[chosen])
      + slope * np.outer(expected, expected[chosen])
  )
  known = covariance[chosen] + (noise + 1e-6) * np.eye(10)
  scores = standard_scores(second[chosen])
  means = covariance @ np.linalg.solve(known, scores)
  np.testing.assert_allclose(model.mean(EVERY, costs), means, atol=1e-7)
  found, deviations = model.mean_and_deviation(EVERY, costs)
  np.testing.assert_allclose(found, means, atol=1e-7)
  some = rng.choice(len(EVERY), 5)
  _, left = model.mean_and_covariance(EVERY[some], costs[some])
  np.testing.assert_allclose(
      np.sqrt(left.diagonal()), deviations[some], atol=1e-7
  )
  children = _children(EVERY[5], 2, 3)
  priced = np.array([-1.0, 0.5, 2.0])
  np.testing.assert_allclose(
      model.children_means(EVERY[5:6], 2, priced[None])[0],
      model.mean(children, priced), atol=1e-7,
  )


def test_the_trials_of_other_tasks_count():
  rng = np.random.default_rng(2)
  first, second = rewards_of_two_tasks(rng)
  other = model_of(rng, first, 40)
  assert model_of(rng, second, 9, [other]).trials == 49
