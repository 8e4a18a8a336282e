"""Buckets: how the cost axis of a layer is cut into groups."""

import bisect
import dataclasses
from collections.abc import Callable

import numpy as np

from layernas.errors import UserError
from layernas.search.cost import Number


@dataclasses.dataclass(frozen=True)
class BucketAxis:
  """Cost axis of one layer.

  Bucket b holds the costs from edge b - 1 (included) to edge b (excluded); the
  first and the last bucket are open to their outer side.

  Attributes:
    edges: inner edges, ascending; n edges make n + 1 buckets.
  """

  edges: tuple[float, ...]

  @property
  def size(self) -> int:
    """Number of buckets."""
    return len(self.edges) + 1

  def bucket(self, cost: Number) -> int:
    """Index of the bucket of a cost."""
    return bisect.bisect_right(self.edges, cost)


def linear_axis(costs: np.ndarray, buckets: int) -> BucketAxis:
  """Buckets of equal width between the smallest and the largest cost."""
  low, high = costs.min().item(), costs.max().item()
  if low == high:
    return BucketAxis(())
  # Rounded once, so that an edge at an integer cost is that integer.
  return BucketAxis(
      tuple(low + (high - low) * step / buckets for step in range(1, buckets))
  )


def log_axis(costs: np.ndarray, buckets: int) -> BucketAxis:
  """Buckets of equal ratio between the smallest and the largest cost.

  Raises:
    UserError: a cost is not above zero.
  """
  if costs.min() <= 0:
    raise UserError(
        "search.spacing 'log': smallest cost"
        f' {costs.min()}: allowed are costs above zero'
    )
  logs = linear_axis(np.log(costs.astype(np.float64)), buckets)
  return BucketAxis(tuple(np.exp(logs.edges).tolist()))


def equal_count_axis(costs: np.ndarray, buckets: int) -> BucketAxis:
  """Buckets that hold about equally many of the costs; ties stay together."""
  # More buckets than costs give the same edges.
  buckets = min(buckets, len(costs))
  ranks = np.arange(1, buckets) * len(costs) // buckets
  edges = np.unique(np.sort(costs)[ranks])
  return BucketAxis(tuple(edges[edges > costs.min()].tolist()))


SPACINGS: dict[str, Callable[[np.ndarray, int], BucketAxis]] = {
    'linear': linear_axis,
    'log': log_axis,
    'equal_count': equal_count_axis,
}
"""Named ways to cut a cost axis; all are our choice, not the paper's."""
