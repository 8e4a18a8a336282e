"""Layer tables: the best prefixes of one length, per bucket."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from layernas.search.buckets import BucketAxis
from layernas.search.cost import Number
from layernas.search.space import Architecture


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
  """A prefix in a layer table.

  Attributes:
    architecture: the prefix, undecided layers at their defaults.
    cost: of that complete network.
    reward: of that complete network; None for the root, which is not ranked.
    trial: id of the trial that measured it; None for the root.
  """

  architecture: Architecture
  cost: Number
  reward: float | None = None
  trial: int | None = None


class LayerTable:
  """Bucket -> the best `keep` prefixes seen in it, best first."""

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
      The entry that found no room (perhaps `entry` itself), or None.
    """
    bucket = self.buckets.setdefault(self.axis.bucket(entry.cost), [])
    position = len(bucket)
    while position and entry.reward > bucket[position - 1].reward:
      position -= 1
    bucket.insert(position, entry)
    return bucket.pop() if len(bucket) > self.keep else None

  def holders(self, cost: Number) -> list[Entry] | None:
    """The entries in the bucket of a cost; None where it has room."""
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
    costs: of the entries, shape (n,).
    rewards: of the entries, shape (n,).

  Returns:
    Indices of the entries that stay, in the order of `LayerTable.entries`.
  """
  buckets = np.searchsorted(np.array(axis.edges), costs, side='right')
  # Both sorts are stable: of equal rewards the older one comes first.
  order = np.lexsort((-rewards, buckets))
  begins = np.searchsorted(buckets[order], buckets[order], side='left')
  return order[np.arange(len(order)) - begins < keep]
