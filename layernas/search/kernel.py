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
  """

  def __init__(self, option_counts: Sequence[int]):
    """Prepares for a space.

    Args:
      option_counts: number of options of each layer.
    """
    self._counts = tuple(option_counts)
    # What a layer contributes where two architectures differ in it.
    self._differ = [-1.0 / max(n - 1, 1) for n in self._counts]
    # Features of layers with equally many options stand side by side: of such
    # a group it matters only in how many layers two architectures agree.
    self._offsets = np.zeros(len(self._counts), np.intp)
    self._groups: list[tuple[slice, int, float]] = []
    end = 0
    for count in sorted(set(self._counts)):
      begin = end
      members = [i for i, n in enumerate(self._counts) if n == count]
      for layer in members:
        self._offsets[layer] = end
        end += count
      self._groups.append(
          (slice(begin, end), len(members), self._differ[members[0]])
      )
    layers = len(self._counts)
    self._layers = layers
    self._pairs = layers * (layers - 1) / 2 or 1.0
    self._powers = _DIFFERENT ** np.arange(layers + 1.0)

  def one_hot(self, architectures: np.ndarray) -> np.ndarray:
    """Features of architectures, shape (n, sum of the option counts)."""
    rows = np.zeros((len(architectures), sum(self._counts)))
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
    single, square, agreeing = self._sums(first, second)
    return np.stack([
        single / self._layers,
        (single**2 - square) / 2 / self._pairs,
        self._powers[self._layers - agreeing],
    ])

  def children(
      self, prefixes: np.ndarray, layer: int, known: np.ndarray,
      features: np.ndarray, weights: np.ndarray, variances: Sequence[float],
  ) -> np.ndarray:
    """Weighted sums of the kernel between all children of prefixes and others.

    The children of a prefix differ in one layer, so that the sums over the
    other layers are taken once for all of them.

    Args:
      prefixes: option indices, shape (n, layers).
      layer: whose options the children take.
      known: the other architectures, shape (m, layers).
      features: theirs.
      weights: theirs, shape (m,).
      variances: of the three parts; a constant's is 1.

    Returns:
      Shape (n, options of the layer).
    """
    differ = self._differ[layer]
    single, square, agreeing = self._sums(self.one_hot(prefixes), features)
    own = prefixes[:, layer, None] == known[:, layer]
    value = np.where(own, 1.0, differ)
    single, square = single - value, square - value**2
    rest = self._powers[self._layers - 1 - (agreeing - own)]
    singles, pairs, together = variances
    singles, pairs = singles / self._layers, pairs / self._pairs
    options = np.arange(self._counts[layer])
    matching = weights[:, None] * (known[:, layer, None] == options)
    column = weights[:, None]
    shared = 1.0 + singles * single + pairs / 2 * (single**2 - square)
    return (
        shared @ column
        + (singles + pairs * single)
        @ (differ * column + (1 - differ) * matching)
        + together * rest
        @ (_DIFFERENT * column + (1 - _DIFFERENT) * matching)
    )

  def _sums(
      self, first: np.ndarray, second: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums over the layers of contributions, their squares, and agreements."""
    single = square = agreeing = 0.0
    for columns, layers, differ in self._groups:
      agree = first[:, columns] @ second[:, columns].T
      single = single + (layers * differ + (1 - differ) * agree)
      square = square + (layers * differ**2 + (1 - differ**2) * agree)
      agreeing = agreeing + agree
    return single, square, agreeing.astype(np.intp)
