"""Tests of layernas.search.reward_model."""

import itertools

import numpy as np
import pytest

from layernas.search.reward_model import Kernel

COUNTS = (2, 4, 1, 3, 4)
ALL = np.array(list(itertools.product(*map(range, COUNTS))))


def values(first, second):
  """What each layer contributes."""
  return [
      1.0 if a == b else -1 / (n - 1)
      for a, b, n in zip(first, second, COUNTS, strict=True)
  ]


def by_hand(first, second):
  z = values(first, second)
  pairs = [x * y for x, y in itertools.combinations(z, 2)]
  differing = sum(a != b for a, b in zip(first, second, strict=True))
  return np.mean(z), np.mean(pairs), 0.5**differing


def test_parts_are_means_over_layers_and_pairs():
  kernel = Kernel(COUNTS)
  some = ALL[::5]
  parts = kernel.parts(kernel.one_hot(some), kernel.one_hot(ALL))
  expected = np.array([[by_hand(a, b) for b in ALL] for a in some])
  np.testing.assert_allclose(parts, np.moveaxis(expected, 2, 0), atol=1e-12)


def test_single_effects_sum_to_zero_over_options():
  kernel = Kernel((4, 3))
  every = np.array(list(itertools.product(range(4), range(3))))
  features = kernel.one_hot(every)
  single, pairs, _ = kernel.parts(features, features)
  np.testing.assert_allclose(single.sum(axis=0), 0, atol=1e-12)
  np.testing.assert_allclose(pairs.sum(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize('layer', range(len(COUNTS)))
def test_children_are_the_kernel_of_every_child(layer):
  kernel, rng = Kernel(COUNTS), np.random.default_rng(0)
  known, prefixes = ALL[::3], ALL[::7]
  weights, variances = rng.standard_normal(len(known)), (0.7, 2.0, 0.4)
  children = np.repeat(prefixes[:, None], COUNTS[layer], axis=1)
  children[:, :, layer] = np.arange(COUNTS[layer])
  features = kernel.one_hot(known)
  parts = kernel.parts(
      kernel.one_hot(children.reshape(-1, len(COUNTS))), features
  )
  expected = (1.0 + np.tensordot(variances, parts, 1)) @ weights
  found = kernel.children(
      prefixes, layer, known, features, weights, variances
  )
  np.testing.assert_allclose(
      found, expected.reshape(len(prefixes), -1), atol=1e-10
  )


def test_the_covariance_is_the_weighted_sum_of_the_parts():
  kernel = Kernel(COUNTS)
  some, every = kernel.one_hot(ALL[::5]), kernel.one_hot(ALL)
  expected = 1.0 + np.tensordot((0.7, 2.0, 0.4), kernel.parts(some, every), 1)
  found = kernel.covariance(some, every, (0.7, 2.0, 0.4))
  np.testing.assert_allclose(found, expected, atol=1e-12)
