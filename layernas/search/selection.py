"""Entries of a layer table from which a visit selects."""

import heapq
import random

from layernas.search.space import Architecture
from layernas.search.table import Entry

SELECTIONS = ('uniform', 'best')
"""How a visit selects entries: at random, or those with the best reward."""


class SelectableEntries:
  """Entries that may still have an untried option.

  They are added, removed and drawn at random in constant time, however many
  there are.
  """

  def __init__(self) -> None:
    """Begins empty."""
    self._entries: list[Entry] = []
    self._places: dict[Architecture, int] = {}

  def __len__(self) -> int:
    return len(self._entries)

  def add(self, entry: Entry) -> None:
    """Adds an entry whose architecture is not yet there."""
    self._places[entry.architecture] = len(self._entries)
    self._entries.append(entry)

  def discard(self, architecture: Architecture) -> None:
    """Removes an entry, if it is there; the last one takes its place."""
    place = self._places.pop(architecture, None)
    if place is None:
      return
    last = self._entries.pop()
    if place < len(self._entries):
      self._entries[place] = last
      self._places[last.architecture] = place

  def select(self, count: int, how: str, rng: random.Random) -> list[Entry]:
    """Selects entries, all different.

    Args:
      count: at most so many.
      how: one of `SELECTIONS`.
      rng: random source.

    Returns:
      `count` entries, or all where there are fewer.
    """
    count = min(count, len(self._entries))
    if how == 'uniform':
      return rng.sample(self._entries, count)
    # The root, alone in its table, has no reward. Of equals the older trial.
    return heapq.nsmallest(
        count, self._entries,
        key=lambda entry: (-(entry.reward or 0), entry.trial or 0),
    )
