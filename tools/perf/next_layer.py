"""Which children of the next layer idle workers can train already.

Once all candidates of a layer of `sweep` or `recentred` are in training, those
not yet answered are as many as the workers at most, and most buckets hold none
of them. What such a bucket keeps is certain, and so are its children. A child's
result then is there when the search asks for it; the search decides nothing
otherwise. Children of whole networks, the first layer of the next pass, are not
looked at.
"""

import collections
import itertools
from collections.abc import Iterator

from layernas.search import Architecture
from layernas.search import Search
from layernas.search.layer_pass import LayerPass
from tools.perf.virtual_workers import Ahead


class NextLayer(Ahead):
  """Children of what the buckets of the unfinished layer will or may keep."""

  def __init__(self, search: Search, leading: bool):
    """Looks at a search that has not begun.

    Args:
      search: with the schedule `sweep` or `recentred`.
      leading: whether a bucket with unanswered candidates counts as well, after
        all others: its children are for nothing if it comes to keep another.
    """
    self._search = search
    self._leading = leading
    self._rewards: dict[Architecture, float] = {}
    self._pass: LayerPass | None = None
    # Prices children without counting them in the search's own pass.
    self._pricing: LayerPass | None = None
    self._length = 0
    self._buckets: dict[int, list[Architecture]] = {}
    self._bucket_of: dict[Architecture, int] = {}
    self._unanswered: collections.Counter[int] = collections.Counter()
    self._children: dict[Architecture, list[Architecture]] = {}

  def opened(self) -> None:
    """Sorts the new layer's children by bucket."""
    current = self._search.strategy.passes[-1]
    if current is not self._pass:
      self._pass = current
      self._pricing = LayerPass(
          current.problem, current.order, current.start, current.settings
      )
    self._length = len(current.tables) - 1
    parents = current.tables[self._length - 1].entries()
    families = self._pricing.children(
        [entry.architecture for entry in parents], self._length
    )
    axis = current.tables[self._length].axis
    self._buckets = collections.defaultdict(list)
    self._unanswered.clear()
    self._bucket_of = {}
    self._children = {}
    for child in itertools.chain.from_iterable(families):
      bucket = axis.bucket(child.cost)
      self._bucket_of[child.architecture] = bucket
      self._buckets[bucket].append(child.architecture)
      self._unanswered[bucket] += child.architecture not in self._rewards

  def answered(self, architecture: Architecture, reward: float) -> None:
    """One less is open in its bucket."""
    self._rewards[architecture] = reward
    self._unanswered[self._bucket_of[architecture]] -= 1

  def choices(self) -> Iterator[Architecture]:
    """Children that may be asked for, the likeliest first."""
    if self._length == len(self._pass.order):
      return
    # Of equally good candidates each is the best one with the same probability.
    chances = {
        bucket: self._unanswered[bucket] / len(members)
        for bucket, members in self._buckets.items()
    }
    for bucket in sorted(chances, key=lambda one: (chances[one], one)):
      if chances[bucket] and not self._leading:
        return
      for entry in self._kept(bucket):
        yield from self._new_children(entry)

  def _kept(self, bucket: int) -> list[Architecture]:
    """What the bucket would keep by the results so far."""
    known = [one for one in self._buckets[bucket] if one in self._rewards]
    # Stable: of equals the older one comes first.
    known.sort(key=self._rewards.__getitem__, reverse=True)
    return known[:self._pass.settings.keep]

  def _new_children(self, entry: Architecture) -> list[Architecture]:
    """Its children that have no result from before."""
    if entry not in self._children:
      [family] = self._pricing.children([entry], self._length + 1)
      self._children[entry] = [
          child.architecture for child in family
          if child.architecture not in self._rewards
      ]
    return self._children[entry]
