"""How alike two architectures are: in single layers, pairs and all layers."""

from collections.abc import Sequence

import numpy as np

PARTS = 3
"""Kernel parts: single layers, pairs of layers, all layers together."""

# Agreement of two options that differ, in the part of all layers together.
_DIFFERENT = 0.5


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
