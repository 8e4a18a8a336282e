"""A Gaussian process over architectures that learns how far layers interact.

The reward is modelled as a constant, effects of single layers, effects of
pairs of layers and a rest in which all layers interact. How much each of them
explains, and the noise, are learned from the trials by marginal likelihood:
the model is additive where the reward is.

`Kernel` says how alike two architectures are, `RewardModel` what follows from
that for rewards.
"""

import statistics
from collections.abc import Sequence

import numpy as np

from layernas.search.blas import one_thread

PARTS = 3
"""Parts of `Kernel`: single layers, pairs of layers, all layers together."""

_LINEAR = slice(PARTS, -1)
"""Among the variances, those of linear effects: of the cost, and of what models
of other tasks expect. The noise is behind them."""

# Agreement of two options that differ, in the part of all layers together.
_DIFFERENT = 0.5

# Trials that the four variances are learned from at most, evenly spaced: a
# likelihood takes the third power of their number.
_LEARNING = 200

# Logarithms of the variances where learning begins, and of which they are
# expected: a deviation of one of a normal prior, without which a few noisy
# rewards are taken to be all noise, or none.
_START = np.log([1.0, 0.3, 0.1, 0.3, 0.3])

# The same of what a model of another task expects.
_OTHER_START = np.log(1.0)

# Limits of the logarithms of the variances, relative to a constant's of 1.
_LOW, _HIGH = -9.0, 4.0

# Added to the noise, so that equal architectures never make it singular.
_JITTER = 1e-6

# Rewards that are all smaller, or one of which is larger than its inverse, are
# scaled: no others, so that their scores keep their bits.
_SMALL = 1e-100


class Kernel:
  """Covariance of rewards under a constant and three kinds of effects.

  A layer with n options contributes 1 where two architectures agree in it and
  -1 / (n - 1) where they differ: effects sum to zero over its options.

  Of layers with equally many options it matters only in how many of them two
  architectures agree. These numbers, one for each such group of layers, are the
  digits of the pair's *agreement*, which points into tables of the parts.
  """

  def __init__(self, option_counts: Sequence[int]):
    """Prepares for a space.

    Args:
      option_counts: number of options of each layer.
    """
    self._counts = np.array(option_counts)
    self._offsets = np.cumsum(self._counts) - self._counts
    # What a layer in which they agree adds to the agreement of a pair.
    self._strides = np.zeros(len(self._counts), np.intp)
    single = square = agreeing = np.zeros(1)
    for count in np.unique(self._counts).tolist():
      members = self._counts == count
      self._strides[members] = single.size
      agree = np.arange(members.sum() + 1.0)[:, None]
      differ = members.sum() - agree
      value = -1.0 / max(count - 1, 1)
      single = (single + agree + value * differ).ravel()
      square = (square + agree + value**2 * differ).ravel()
      agreeing = (agreeing + agree).ravel()
    layers = len(self._counts)
    self._table = np.stack([
        single / layers,
        (single**2 - square) / 2 / (layers * (layers - 1) / 2 or 1.0),
        _DIFFERENT ** (layers - agreeing),
    ])

  def one_hot(self, architectures: np.ndarray) -> np.ndarray:
    """Features of architectures, shape (n, sum of the option counts)."""
    # Small integers: single precision counts them without error.
    rows = np.zeros((len(architectures), self._counts.sum()), np.float32)
    rows[
        np.arange(len(architectures))[:, None], architectures + self._offsets
    ] = 1.0
    return rows

  def parts(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The three parts between architectures.

    Args:
      first: features of n architectures.
      second: features of m.

    Returns:
      Shape (3, n, m); each part is 1 between equal architectures.
    """
    return self._table[:, self._agreements(first, second)]

  def covariance(
      self, first: np.ndarray, second: np.ndarray, variances: Sequence[float]
  ) -> np.ndarray:
    """The parts' sum, weighted with variances, and a constant's 1.

    Args:
      first: features of n architectures.
      second: features of m.
      variances: of the three parts.

    Returns:
      Shape (n, m).
    """
    return self._summed(variances)[self._agreements(first, second)]

  def options(self, features: np.ndarray) -> np.ndarray:
    """Covariance between each option's own effect and architectures.

    Args:
      features: of n architectures.

    Returns:
      Shape (sum of the option counts, n), for a variance of 1 of the part of
      single layers. An effect's own variance is then 1 / layers.
    """
    differ = np.repeat(-1.0 / np.maximum(self._counts - 1, 1), self._counts)
    chosen = features.T.astype(np.float64)
    return (chosen + (1.0 - chosen) * differ[:, None]) / len(self._counts)

  def children(
      self, prefixes: np.ndarray, layer: int, known: np.ndarray,
      features: np.ndarray, weights: np.ndarray, variances: Sequence[float],
  ) -> np.ndarray:
    """Weighted sums of the covariance between all children and others.

    The children of a prefix differ in one layer, so that their agreements with
    the others take two values each.

    Args:
      prefixes: option indices, shape (n, layers).
      layer: whose options the children take.
      known: the other architectures, shape (m, layers).
      features: theirs.
      weights: theirs, shape (m,).
      variances: of the three parts.

    Returns:
      Shape (n, options of the layer).
    """
    stride, chosen = self._strides[layer], known[:, layer]
    apart = self._agreements(self.one_hot(prefixes), features)
    apart -= stride * (prefixes[:, layer, None] == chosen)
    table = self._summed(variances)
    differing = table[apart]
    gain = table[apart + stride] - differing
    options = np.arange(self._counts[layer])
    matching = weights[:, None] * (chosen[:, None] == options)
    return (differing @ weights)[:, None] + gain @ matching

  def _summed(self, variances: Sequence[float]) -> np.ndarray:
    return 1.0 + np.asarray(variances) @ self._table

  def _agreements(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    scale = np.repeat(self._strides, self._counts).astype(np.float32)
    return ((first * scale) @ second.T).astype(np.intp)


class RewardModel:
  """Posterior of the reward, on the scale of `standard_scores`.

  What a model of another task expects is one more linear effect, as the cost's
  is: the trials tell how much the other task says of this one, if anything. A
  model that has learned little expects nearly the same of all architectures,
  and so has little weight.

  It computes on one thread: its bits do not depend on the machine's cores.
  """

  def __init__(
      self, option_counts: Sequence[int], others: Sequence['RewardModel'] = ()
  ):
    """Makes a model that knows no trial.

    Args:
      option_counts: number of options of each layer.
      others: models of other tasks, fitted to their trials.
    """
    self._kernel = Kernel(option_counts)
    self._others = others
    self._start = np.insert(_START, -1, [_OTHER_START] * len(others))
    self._log_variances = self._start
    self._learned_from = 0
    self._known = np.zeros((0, len(option_counts)), np.intp)

  @property
  def trials(self) -> int:
    """How many it is fitted to, those of other tasks among them."""
    return len(self._known) + sum(other.trials for other in self._others)

  @property
  def variances(self) -> tuple[float, ...]:
    """Of single layers, pairs, all layers, the cost, other tasks, the noise.

    A constant's is 1; each other task has one of its own.
    """
    return tuple(np.exp(self._log_variances).tolist())

  @one_thread()
  def fit(
      self, architectures: np.ndarray, costs: np.ndarray, rewards: np.ndarray
  ) -> np.ndarray:
    """Fits the model; learns the variances anew after a tenth more trials.

    Where the architectures begin with those of the fit before and the variances
    stay, it takes time quadratic in the number of trials.

    Args:
      architectures: option indices, shape (n, layers); may repeat.
      costs: of the architectures, shape (n,), on the scale of standard
        deviations, see `ModelBased`.
      rewards: shape (n,).

    Returns:
      Posterior means of the architectures, shape (n,).
    """
    count, before = len(rewards), len(self._known)
    scores = standard_scores(rewards)
    features = self._kernel.one_hot(architectures)
    self._linear = linear = self._linear_of(architectures, costs)
    if count >= 1.1 * self._learned_from:
      chosen = np.linspace(0, count - 1, min(count, _LEARNING)).astype(int)
      parts = self._kernel.parts(features[chosen], features[chosen])
      products = [np.multiply.outer(row, row) for row in linear[:, chosen]]
      self._learn(np.concatenate([parts, products]), scores[chosen])
      self._learned_from = count
      before = 0
    elif not np.array_equal(self._known, architectures[:before]):
      before = 0
    self._factorise(features, linear, before)
    self._known, self._features = architectures, features
    white = self._inverse_factor @ scores
    self._weights = self._inverse_factor.T @ white
    self._slopes = [
        variance * (row @ self._weights)
        for variance, row in zip(self.variances[_LINEAR], linear, strict=True)
    ]
    self._scale = max(white @ white / count, 1e-12)
    return scores - (self.variances[-1] + _JITTER) * self._weights

  @one_thread()
  def mean(self, architectures: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Posterior means of architectures with these costs, shape (n,)."""
    linear = self._linear_of(architectures, costs)
    return self._cross(architectures, linear) @ self._weights

  @one_thread()
  def children_means(
      self, prefixes: np.ndarray, layer: int, costs: np.ndarray
  ) -> np.ndarray:
    """Posterior means of all children of prefixes in a layer.

    Args:
      prefixes: option indices, shape (n, layers).
      layer: whose options the children take.
      costs: of the children, shape (n, options of the layer).

    Returns:
      Shape (n, options of the layer).
    """
    linear = [costs, *(
        other.children_means(prefixes, layer, costs) for other in self._others
    )]
    means = sum(
        slope * values
        for slope, values in zip(self._slopes, linear, strict=True)
    )
    return means + self._kernel.children(
        prefixes, layer, self._known, self._features, self._weights,
        self.variances[:PARTS],
    )

  @one_thread()
  def mean_and_deviation(
      self, architectures: np.ndarray, costs: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means and standard deviations without noise, shape (n,)."""
    linear = self._linear_of(architectures, costs)
    cross = self._cross(architectures, linear)
    prior = 1.0 + sum(self.variances[:PARTS])
    prior = prior + self.variances[_LINEAR] @ linear**2
    left = prior - ((self._inverse_factor @ cross.T) ** 2).sum(axis=0)
    return cross @ self._weights, np.sqrt(
        self._scale * np.maximum(left, 1e-12)
    )

  @one_thread()
  def mean_and_covariance(
      self, architectures: np.ndarray, costs: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means, shape (n,), and covariance without noise, (n, n)."""
    linear = self._linear_of(architectures, costs)
    cross = self._cross(architectures, linear)
    features = self._kernel.one_hot(architectures)
    white = self._inverse_factor @ cross.T
    prior = self._covariance(features, linear, features, linear)
    left = prior - white.T @ white
    return cross @ self._weights, self._scale * left

  @one_thread()
  def effects(self) -> tuple[np.ndarray, np.ndarray]:
    """What each option adds by itself, whatever the other layers have.

    Effects sum to zero over the options of a layer. Those of pairs and of all
    layers together are not in them, nor are the linear ones.

    Returns:
      Posterior means and standard deviations, shape (sum of the option
      counts,), the first layer's options first.
    """
    variance = self.variances[0]
    cross = variance * self._kernel.options(self._features)
    prior = variance / self._known.shape[1]
    left = prior - ((self._inverse_factor @ cross.T) ** 2).sum(axis=0)
    return cross @ self._weights, np.sqrt(
        self._scale * np.maximum(left, 1e-12)
    )

  def _linear_of(
      self, architectures: np.ndarray, costs: np.ndarray
  ) -> np.ndarray:
    """What the reward depends on linearly, shape (1 + others, n)."""
    return np.stack([
        costs, *(other.mean(architectures, costs) for other in self._others)
    ])

  def _cross(
      self, architectures: np.ndarray, linear: np.ndarray
  ) -> np.ndarray:
    return self._covariance(
        self._kernel.one_hot(architectures), linear, self._features,
        self._linear,
    )

  def _covariance(
      self, first: np.ndarray, first_linear: np.ndarray, second: np.ndarray,
      second_linear: np.ndarray,
  ) -> np.ndarray:
    """Without noise, from features and linear effects; shape (n, m)."""
    covariance = self._kernel.covariance(first, second, self.variances[:PARTS])
    for variance, one, other in zip(
        self.variances[_LINEAR], first_linear, second_linear, strict=True
    ):
      covariance = covariance + np.multiply.outer(variance * one, other)
    return covariance

  def _factorise(
      self, features: np.ndarray, linear: np.ndarray, before: int
  ) -> None:
    """Inverts the covariance's Cholesky factor; the first rows are known.

    Known rows stay as they are. (Rows of the inverse covariance itself would
    change with every new trial, and their errors grow from fit to fit.)
    """
    new, new_linear = features[before:], linear[:, before:]
    corner = self._covariance(new, new_linear, new, new_linear)
    corner[np.diag_indices_from(corner)] += self.variances[-1] + _JITTER
    if not before:
      self._inverse_factor = np.linalg.inv(np.linalg.cholesky(corner))
      return
    cross = self._covariance(
        features[:before], linear[:, :before], new, new_linear
    )
    side = (self._inverse_factor @ cross).T
    corner = np.linalg.inv(np.linalg.cholesky(corner - side @ side.T))
    whole = np.zeros((len(features),) * 2)
    whole[:before, :before] = self._inverse_factor
    whole[before:, :before] = -corner @ side @ self._inverse_factor
    whole[before:, before:] = corner
    self._inverse_factor = whole

  def _learn(self, parts: np.ndarray, scores: np.ndarray) -> None:
    """Climbs the posterior of the variances, one of them at a time.

    It begins at the same place every time: what was learned from few trials
    must not decide where the climb ends with many.
    """
    logs = start = self._start
    best = _log_posterior(parts, scores, logs, start)
    for step in (1.5, 0.7, 0.3):
      for index in range(len(logs)):
        for change in (step, -step):
          tried = logs.copy()
          tried[index] = min(max(tried[index] + change, _LOW), _HIGH)
          value = _log_posterior(parts, scores, tried, start)
          if value > best:
            logs, best = tried, value
            break
    self._log_variances = logs


def standard_scores(rewards: np.ndarray) -> np.ndarray:
  """Rewards on a scale on which the good ones lie apart.

  Rewards in standard deviations; the more skewed they are to the left, where
  few networks are far worse than the others, the more the normal scores of
  their ranks take their place, and all of it from a skewness of -1 on.

  Args:
    rewards: shape (n,).

  Returns:
    Shape (n,).
  """
  if rewards.min() == rewards.max():
    return np.zeros(len(rewards))
  largest = np.abs(rewards).max()
  if not _SMALL < largest < 1 / _SMALL:
    # Their squares would overflow, or vanish.
    rewards = rewards / largest
  standard = (rewards - rewards.mean()) / rewards.std()
  share = min(max(-float((standard**3).mean()), 0.0), 1.0)
  return share * normal_scores(rewards) + (1 - share) * standard


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


def _log_posterior(
    parts: np.ndarray, scores: np.ndarray, logs: np.ndarray, start: np.ndarray
) -> float:
  """Of the variances, the overall scale at its best value; less a constant."""
  variances = np.exp(logs)
  covariance = 1.0 + np.tensordot(variances[:-1], parts, 1)
  covariance[np.diag_indices_from(covariance)] += variances[-1] + _JITTER
  factor = np.linalg.cholesky(covariance)
  white = np.linalg.solve(factor, scores)
  count = len(scores)
  scale = max(white @ white / count, 1e-12)
  likelihood = -count / 2 * np.log(scale) - np.log(np.diag(factor)).sum()
  return float(likelihood - ((logs - start) ** 2).sum() / 2)
