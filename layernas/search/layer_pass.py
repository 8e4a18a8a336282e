"""One pass over all layers: its layer tables and the children of each layer."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from layernas.errors import UserError
from layernas.search.buckets import SPACINGS
from layernas.search.buckets import BucketAxis
from layernas.search.cost import Number
from layernas.search.prefix import ChildCosts
from layernas.search.prefix import child_costs
from layernas.search.problem import Problem
from layernas.search.space import Architecture
from layernas.search.strategy import Proposal
from layernas.search.table import Entry
from layernas.search.table import LayerTable
from layernas.search.trial import Trial


@dataclasses.dataclass(frozen=True)
class TableSettings:
  """Size and shape of the layer tables.

  Attributes:
    buckets: H, buckets per layer; 100 in the paper.
    keep: entries per bucket; our choice.
    spacing: how the cost axis is cut, a key of `buckets.SPACINGS`; our choice.
  """

  buckets: int = 100
  keep: int = 1
  spacing: str = 'linear'

  def __post_init__(self) -> None:
    for name in ('buckets', 'keep'):
      if getattr(self, name) < 1:
        raise UserError(
            f'search.{name}: {getattr(self, name)}: allowed are integers >= 1'
        )
    if self.spacing not in SPACINGS:
      raise UserError(
          f'search.spacing: {self.spacing!r}: allowed are {list(SPACINGS)}'
      )


class PassObserver(Protocol):
  """Whoever wants to know how the tables of a pass came about."""

  def priced(
      self, layer_pass: 'LayerPass', prefixes: Sequence[Architecture],
      length: int, costs: ChildCosts, feasible: np.ndarray,
  ) -> None:
    """Prefixes were extended by all options of a layer.

    Args:
      layer_pass: which one.
      prefixes: of length `length` - 1.
      length: of the children.
      costs: of the children, with their reachable intervals.
      feasible: bool, shape (prefixes, options); the other children are dropped.
    """

  def placed(
      self, layer_pass: 'LayerPass', proposal: Proposal, trial: Trial,
      loser: Entry | None,
  ) -> None:
    """A child was offered to its layer's table.

    Args:
      layer_pass: which one.
      proposal: the child.
      trial: its result; one without a reward was not offered.
      loser: the entry that found no room in the bucket, perhaps the child's.
    """


class LayerPass:
  """Layer tables M_0..M_L for one order of the layers and one start network.

  Attributes:
    order: indices of the layers in the order in which they are decided.
    start: architecture whose options stand while their layers are undecided.
    tables: tables[l] holds prefixes of length l; tables[0] only the start.
    infeasible: infeasible[l] counts the children of length l that were dropped
      because no completion reaches the target.
    observer: told of all children, or None.
  """

  def __init__(
      self, problem: Problem, order: Sequence[int], start: Architecture,
      settings: TableSettings, observer: PassObserver | None = None,
  ):
    """Opens a pass with nothing decided.

    Args:
      problem: space, cost and target.
      order: a permutation of the layer indices.
      start: the root of all prefixes.
      settings: of the tables.
      observer: to tell of all children.
    """
    self.problem = problem
    self.order = tuple(order)
    self.start = start
    self.settings = settings
    self.observer = observer
    root = LayerTable(BucketAxis(()), keep=1)
    root.buckets[0] = [Entry(start, problem.cost.cost(start))]
    self.tables: list[LayerTable] = [root]
    self.infeasible = [0] * (len(order) + 1)

  def open_table(self, costs: np.ndarray) -> None:
    """Appends the next layer's empty table, its axis cut over these costs."""
    make_axis = SPACINGS[self.settings.spacing]
    axis = make_axis(costs, self.settings.buckets)
    self.tables.append(LayerTable(axis, self.settings.keep))

  def children(
      self, prefixes: Sequence[Architecture], length: int
  ) -> list[list[Proposal]]:
    """Feasible children of prefixes, by prefix; counts the infeasible ones.

    Args:
      prefixes: of length `length` - 1.
      length: number of layers that the children have decided.

    Returns:
      For each prefix its feasible children in the order of the options.
    """
    layer = self.order[length - 1]
    priced = child_costs(
        self.problem.cost, np.array(prefixes), self.order[:length - 1], layer
    )
    feasible = self.problem.target.meets(priced.low, priced.high)
    self.infeasible[length] += int(feasible.size - feasible.sum())
    if self.observer is not None:
      self.observer.priced(self, prefixes, length, priced, feasible)
    costs = priced.cost.tolist()
    return [
        [
            self._child(prefix, layer, option, length, costs[row][option])
            for option in np.flatnonzero(feasible[row]).tolist()
        ]
        for row, prefix in enumerate(prefixes)
    ]

  def _child(
      self, prefix: Architecture, layer: int, option: int, length: int,
      cost: Number,
  ) -> Proposal:
    architecture = prefix[:layer] + (option,) + prefix[layer + 1:]
    return Proposal(architecture, cost, length, layer + 1)

  def place(
      self, proposal: Proposal, trial: Trial
  ) -> tuple[Entry | None, Entry | None]:
    """Offers a child to its layer's table, where it has a reward.

    Args:
      proposal: the child.
      trial: its result.

    Returns:
      The child's entry, or None where it found no room; and the entry that it
      displaced, or None.
    """
    entry = loser = None
    if trial.ok:
      entry = Entry(
          proposal.architecture,
          proposal.cost,
          trial.evaluation.reward,
          trial.candidate.id,
      )
      loser = self.tables[proposal.length].place(entry)
    if self.observer is not None:
      self.observer.placed(self, proposal, trial, loser)
    return (None, None) if loser is entry else (entry, loser)
