"""Boosted regression trees over option indices, evaluated by NumPy alone."""

import dataclasses

import numpy as np

# Architectures at a time, so that intermediate arrays stay small.
_CHUNK = 4096


@dataclasses.dataclass(frozen=True)
class BoostedTrees:
  """A sum of complete binary trees of one depth.

  A node sends an architecture to its right child where the option of the
  node's layer has a larger index than the node's threshold; the children of
  node n are 2n + 1 and 2n + 2. Leaves hold integers, so that the sum does not
  depend on the order of its summands.

  Attributes:
    base: what every architecture begins with.
    layers: of the inner nodes, shape (trees, 2**depth - 1).
    thresholds: likewise.
    leaves: from left to right, shape (trees, 2**depth).
  """

  base: int
  layers: np.ndarray
  thresholds: np.ndarray
  leaves: np.ndarray

  def sums(self, architectures: np.ndarray) -> np.ndarray:
    """Evaluates the trees.

    Args:
      architectures: option indices, shape (n, layers).

    Returns:
      int64, shape (n,).
    """
    architectures = np.asarray(architectures)
    parts = [
        self._sums(architectures[start:start + _CHUNK])
        for start in range(0, len(architectures), _CHUNK)
    ]
    return np.concatenate([np.zeros(0, np.int64), *parts])

  def _sums(self, architectures: np.ndarray) -> np.ndarray:
    trees, inner = self.layers.shape
    rows = np.arange(len(architectures))[:, None]
    first = np.arange(trees) * inner
    layers, thresholds = self.layers.ravel(), self.thresholds.ravel()
    node = np.zeros((len(architectures), trees), np.intp)
    for _ in range(inner.bit_length()):
      place = first + node
      right = architectures[rows, layers[place]] > thresholds[place]
      node = 2 * node + 1 + right
    reached = np.arange(trees) * (inner + 1) + node - inner
    return self.base + self.leaves.ravel()[reached].sum(1, dtype=np.int64)
