"""A Gaussian process over architectures that learns how far layers interact.

The reward is modelled as a constant, effects of single layers, effects of
pairs of layers and a rest in which all layers interact. How much each of them
explains, and the noise, are learned from the trials by marginal likelihood:
the model is additive where the reward is.
"""

import statistics
from collections.abc import Sequence

import numpy as np

# Kernel parts: single layers, pairs of layers, all layers together.
_PARTS = 3

# Agreement of two options that differ, in the part of all layers together.
_DIFFERENT = 0.5

# Limits of the logarithms of the variances, relative to a constant's of 1.
_LOW, _HIGH = -9.0, 4.0


class RewardModel:
  """Posterior of the reward, on the scale of normal scores of its ranks.

  Ranks make of rewards with a long lower tail, where few networks are far
  worse than the others, a scale on which the good ones lie apart.
  """

  def __init__(self, option_counts: Sequence[int]):
    """Makes a model that knows no trial.

    Args:
      option_counts: number of options of each layer.
    """
    self._counts = tuple(option_counts)
    self._offsets = np.concatenate(([0], np.cumsum(self._counts)[:-1]))
    self._log_variances = np.log([1.0, 0.3, 0.1, 0.1])
    self._learned_from = 0
    self._known = np.zeros((0, len(self._counts)), np.intp)

  @property
  def variances(self) -> tuple[float, ...]:
    """Of single layers, pairs, all layers and the noise; a constant's is 1."""
    return tuple(np.exp(self._log_variances).tolist())

  def fit(self, architectures: np.ndarray, rewards: np.ndarray) -> None:
    """Fits the model; learns the variances anew after a tenth more trials.

    Args:
      architectures: option indices, shape (n, layers); may repeat.
      rewards: shape (n,).
    """
    self._known = architectures
    self._features = self._one_hot(architectures)
    parts = self._parts(self._features)
    self._scores = normal_scores(rewards)
    if len(rewards) >= 1.1 * self._learned_from:
      self._learn(parts, self._scores)
      self._learned_from = len(rewards)
    covariance = _covariance(parts, self._log_variances)
    self._inverse = np.linalg.inv(covariance)
    self._weights = self._inverse @ self._scores
    self._scale = max(self._scores @ self._weights / len(rewards), 1e-12)

  def mean(self, architectures: np.ndarray) -> np.ndarray:
    """Posterior means of architectures, shape (n,)."""
    return self._cross(architectures) @ self._weights

  def mean_and_deviation(
      self, architectures: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means and standard deviations without noise, shape (n,)."""
    cross = self._cross(architectures)
    variances = np.exp(self._log_variances)
    prior = 1.0 + variances[:_PARTS].sum()
    left = prior - np.einsum('ij,ij->i', cross @ self._inverse, cross)
    return cross @ self._weights, np.sqrt(
        self._scale * np.maximum(left, 1e-12)
    )

  def _cross(self, architectures: np.ndarray) -> np.ndarray:
    parts = self._parts(self._one_hot(architectures))
    variances = np.exp(self._log_variances)
    return 1.0 + np.tensordot(variances[:_PARTS], parts, 1)

  def _one_hot(self, architectures: np.ndarray) -> np.ndarray:
    rows = np.zeros((len(architectures), sum(self._counts)))
    rows[
        np.arange(len(architectures))[:, None], architectures + self._offsets
    ] = 1.0
    return rows

  def _parts(self, features: np.ndarray) -> np.ndarray:
    """Kernel parts between features and the known ones.

    A layer with n options contributes 1 where options agree, -1 / (n - 1)
    where they differ: effects sum to zero over its options.
    """
    counts = np.repeat(self._counts, self._counts)
    differ = -1.0 / np.maximum(counts - 1, 1)
    constant = sum(-1.0 / max(n - 1, 1) for n in self._counts)
    squares = sum((1.0 / max(n - 1, 1)) ** 2 for n in self._counts)
    layers = len(self._counts)
    known = self._features.T
    single = constant + (features * (1 - differ)) @ known
    square = squares + (features * (1 - differ**2)) @ known
    agreeing = features @ known
    pairs = layers * (layers - 1) / 2 or 1
    return np.stack([
        single / layers,
        (single**2 - square) / 2 / pairs,
        _DIFFERENT ** (layers - agreeing),
    ])

  def _learn(self, parts: np.ndarray, scores: np.ndarray) -> None:
    """Climbs the marginal likelihood, one variance at a time."""
    logs = self._log_variances
    best = _log_likelihood(parts, scores, logs)
    steps = (1.5, 0.7, 0.3) if not self._learned_from else (0.7, 0.3)
    for step in steps:
      for index in range(len(logs)):
        for change in (step, -step):
          tried = logs.copy()
          tried[index] = min(max(tried[index] + change, _LOW), _HIGH)
          value = _log_likelihood(parts, scores, tried)
          if value > best:
            logs, best = tried, value
            break
    self._log_variances = logs


def normal_scores(rewards: np.ndarray) -> np.ndarray:
  """Quantiles of the normal distribution at the ranks of rewards.

  Args:
    rewards: shape (n,); equal ones get the score of their middle rank.

  Returns:
    Shape (n,).
  """
  ordered = np.sort(rewards)
  ranks = (
      np.searchsorted(ordered, rewards) + np.searchsorted(
          ordered, rewards, 'right'
      )
  ) / 2
  quantile = statistics.NormalDist().inv_cdf
  return np.array([quantile(rank / len(rewards)) for rank in ranks.tolist()])


def _covariance(parts: np.ndarray, logs: np.ndarray) -> np.ndarray:
  variances = np.exp(logs)
  covariance = 1.0 + np.tensordot(variances[:_PARTS], parts, 1)
  covariance[np.diag_indices_from(covariance)] += variances[_PARTS] + 1e-6
  return covariance


def _log_likelihood(
    parts: np.ndarray, scores: np.ndarray, logs: np.ndarray
) -> float:
  """Of the scores, the overall scale at its best value; without constants."""
  factor = np.linalg.cholesky(_covariance(parts, logs))
  white = np.linalg.solve(factor, scores)
  count = len(scores)
  scale = max(white @ white / count, 1e-12)
  return float(-count / 2 * np.log(scale) - np.log(np.diag(factor)).sum())
