"""Layer tables: the best prefixes of one length, per bucket of costs.

A `BucketAxis` cuts the costs of a layer's children into buckets, in one of the
ways of `SPACINGS`; a `LayerTable` keeps the best prefixes of each bucket.
"""

import bisect
import dataclasses
from collections.abc import Callable
from collections.abc import Iterator

import numpy as np

from layernas.errors import UserError
from layernas.search.cost import Number
from layernas.search.space import Architecture


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
  """Buckets with about equally many of the costs; ties stay together."""
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


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
  """A prefix in a layer table.

  Attributes:
    architecture: the prefix, undecided layers at their defaults.
    cost: cost of that complete network.
    reward: reward of that network; None for the root, which is not ranked.
    trial: id of the trial that measured it; None for the root.
  """

  architecture: Architecture
  cost: Number
  reward: float | None = None
  trial: int | None = None


class LayerTable:
  """The best `keep` prefixes of each bucket, best first."""

  def __init__(self, axis: BucketAxis, keep: int):
    """Makes an empty table.

    Args:
      axis: buckets of the layer.
      keep: entries per bucket.
    """
    self.axis = axis
    self.keep = keep
    self.buckets: dict[int, list[Entry]] = {}

  def place(self, entry: Entry) -> Entry | None:
    """Puts an entry into the bucket of its cost.

    A newcomer replaces an entry only if its reward is strictly better; ties
    keep the older one.

    Args:
      entry: with a reward.

    Returns:
      The entry that did not fit (perhaps `entry` itself), or None.
    """
    bucket = self.buckets.setdefault(self.axis.bucket(entry.cost), [])
    position = len(bucket)
    while position and entry.reward > bucket[position - 1].reward:
      position -= 1
    bucket.insert(position, entry)
    return bucket.pop() if len(bucket) > self.keep else None

  def entries_of(self, cost: Number) -> list[Entry] | None:
    """The entries in the bucket of a cost; None if it is not full."""
    bucket = self.buckets.get(self.axis.bucket(cost), [])
    return list(bucket) if len(bucket) == self.keep else None

  def entries(self) -> list[Entry]:
    """All entries, by bucket, best first within a bucket."""
    return [entry for _, bucket in self.by_bucket() for entry in bucket]

  def by_bucket(self) -> Iterator[tuple[int, list[Entry]]]:
    """Pairs of bucket index and its entries, by ascending cost."""
    return ((index, self.buckets[index]) for index in sorted(self.buckets))

  def __len__(self) -> int:
    return sum(map(len, self.buckets.values()))


def best_in_buckets(
    axis: BucketAxis, keep: int, costs: np.ndarray, rewards: np.ndarray
) -> np.ndarray:
  """What an empty `LayerTable` would hold after many entries, as indices.

  Args:
    axis: buckets of the layer.
    keep: entries per bucket.
    costs: costs of the entries, shape (n,).
    rewards: rewards of the entries, shape (n,).

  Returns:
    Indices of the entries that stay, in the order of `LayerTable.entries`.
  """
  buckets = np.searchsorted(np.array(axis.edges), costs, side='right')
  # Both sorts are stable: of equal rewards the older one comes first.
  order = np.lexsort((-rewards, buckets))
  begins = np.searchsorted(buckets[order], buckets[order], side='left')
  return order[np.arange(len(order)) - begins < keep]
