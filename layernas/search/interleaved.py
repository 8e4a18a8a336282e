"""Schedule `interleaved`: visits the layers in a ring, a few options a visit.

Follows the pseudo-code of the paper's algorithm 1 as far as it is known; how
many entries and options a visit takes, how entries are selected and where the
cost axes come from are our choices.
"""

import dataclasses
import heapq
import math
import random

import numpy as np

from layernas.errors import UserError
from layernas.plain import check_integers
from layernas.search.layer_pass import LayerPass
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.sweep import Layerwise
from layernas.search.table import Entry
from layernas.search.trial import Proposal
from layernas.search.trial import Trial

SELECTIONS = ('uniform', 'best')
"""Ways in which a visit selects entries: at random, or by the best reward."""


class SelectableEntries:
  """Entries of a layer table that may still have an untried option.

  Adding, removing and drawing one at random take constant time.
  """

  def __init__(self) -> None:
    """Makes an empty set."""
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
      how: way to select, one of `SELECTIONS`.
      rng: random source.

    Returns:
      `count` entries, or all if there are fewer.
    """
    count = min(count, len(self._entries))
    if how == 'uniform':
      return rng.sample(self._entries, count)
    # The root, alone in its table, has no reward. Of equals the older trial.
    return heapq.nsmallest(
        count, self._entries,
        key=lambda entry: (-(entry.reward or 0), entry.trial or 0),
    )


@dataclasses.dataclass(eq=False)
class Interleaved(Layerwise):
  """The paper's algorithm 1, an anytime search.

  Whole networks appear after one round of the ring. The trials of a visit are
  one generation: more entries or options per visit let more workers run at
  once, but every decision then waits for all of them. There is no bound,
  because a better entry may displace one that has been extended.

  Attributes:
    entries: R, entries that a visit selects.
    options: T, untried options that it tries of each.
    select: one of `SELECTIONS`.
    axis_samples: number of random children over which the cost axis of a layer
      is cut, since they are not known beforehand (over all, if there are
      fewer).
  """

  entries: int = 1
  options: int = 1
  select: str = 'uniform'
  axis_samples: int = 2000

  def __post_init__(self) -> None:
    super().__post_init__()
    check_integers(
        'search.visit', entries=self.entries, options=self.options,
        axis_samples=self.axis_samples,
    )
    if self.select not in SELECTIONS:
      raise UserError(
          f'search.visit.select: {self.select!r}: allowed are'
          f' {list(SELECTIONS)}'
      )
    self._selectable: list[SelectableEntries] = []
    self._untried: dict[tuple[int, Architecture], list[Proposal]] = {}

  def generations(self, context: Context) -> Generations:
    """Yields the proposals of one visit after another."""
    layer_pass = self.first_pass(context)
    self._open_tables(layer_pass, context)
    layers = len(layer_pass.order)
    length = idle = 0
    while idle < layers:
      proposals = self._visit(layer_pass, length, context)
      idle = 0 if proposals else idle + 1
      if proposals:
        yield proposals
      length = (length + 1) % layers
    return 'no layer has an entry with an untried option'

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Offers the child to its table; a displaced entry cannot be selected."""
    entered, displaced = self.passes[-1].place(proposal, trial)
    # Whole networks, in the last table, have nothing left to try.
    if proposal.length == len(self._selectable):
      return
    if entered:
      self._selectable[proposal.length].add(entered)
    if displaced:
      self._forget(proposal.length, displaced)

  def _open_tables(self, layer_pass: LayerPass, context: Context) -> None:
    rng = np.random.default_rng(context.rng.getrandbits(64))
    for length in range(1, len(layer_pass.order) + 1):
      layer_pass.open_table(
          _sample_costs(layer_pass, length, self.axis_samples, rng)
      )
    self._selectable = [SelectableEntries() for _ in layer_pass.order]
    [root] = layer_pass.tables[0].entries()
    self._selectable[0].add(root)

  def _visit(
      self, layer_pass: LayerPass, length: int, context: Context
  ) -> list[Proposal]:
    proposals = []
    for entry in self._select(layer_pass, length, context):
      untried = self._untried[length, entry.architecture]
      count = min(self.options, len(untried))
      for index in sorted(
          context.rng.sample(range(len(untried)), count), reverse=True
      ):
        proposals.append(untried.pop(index))
      if not untried:
        self._forget(length, entry)
    return proposals

  def _select(
      self, layer_pass: LayerPass, length: int, context: Context
  ) -> list[Entry]:
    """Selects entries with an untried option that can reach the target.

    Whether an entry has one is worked out when it is first selected: most
    entries are displaced before.
    """
    selectable = self._selectable[length]
    while True:
      entries = selectable.select(self.entries, self.select, context.rng)
      barren = [
          entry for entry in entries
          if not self._untried_children(layer_pass, length, entry)
      ]
      if not barren:
        return entries
      for entry in barren:
        self._forget(length, entry)

  def _untried_children(
      self, layer_pass: LayerPass, length: int, entry: Entry
  ) -> list[Proposal]:
    key = length, entry.architecture
    if key not in self._untried:
      [family] = layer_pass.children([entry.architecture], length + 1)
      self._untried[key] = family
    return self._untried[key]

  def _forget(self, length: int, entry: Entry) -> None:
    """Takes an entry out of those that can be selected."""
    self._selectable[length].discard(entry.architecture)
    self._untried.pop((length, entry.architecture), None)


def _sample_costs(
    layer_pass: LayerPass, length: int, samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
  """Costs of random feasible children of a length, for its cost axis."""
  problem, order = layer_pass.problem, layer_pass.order
  counts = problem.space.option_counts
  decided, layer = order[:length - 1], order[length - 1]
  prefixes = math.prod(counts[index] for index in decided)
  rows = max(1, samples // counts[layer])
  if prefixes <= rows:
    picked = np.arange(prefixes)
    rows = prefixes
    columns = np.unravel_index(picked, [counts[i] for i in decided] or [1])
  else:
    columns = [rng.integers(counts[index], size=rows) for index in decided]
  parents = np.tile(layer_pass.start, (rows, 1))
  for index, column in zip(decided, columns, strict=False):
    parents[:, index] = column
  priced, feasible = problem.children(parents, decided, layer)
  costs = priced.cost[feasible]
  return costs if costs.size else priced.cost.ravel()
