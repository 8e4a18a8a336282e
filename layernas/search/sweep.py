"""Schedule `sweep`: each layer once, all children of its table's entries.

Schedule `recentred` (ours): sweeps, each from the incumbent's options.
"""

import dataclasses

import numpy as np

from layernas.errors import UserError
from layernas.search.layer_pass import ORDERS
from layernas.search.layer_pass import STARTS
from layernas.search.layer_pass import LayerPass
from layernas.search.layer_pass import PassObserver
from layernas.search.layer_pass import TableSettings
from layernas.search.layer_pass import layer_order
from layernas.search.problem import Problem
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.strategy import Proposal
from layernas.search.strategy import Strategy
from layernas.search.trial import Trial


@dataclasses.dataclass(frozen=True)
class PassSettings:
  """How passes begin.

  Attributes:
    tables: size and shape of the layer tables.
    start: key of `start.STARTS`, the network of the undecided layers.
    order: one of `start.ORDERS`.
  """

  tables: TableSettings = TableSettings()
  start: str = 'default'
  order: str = 'forward'

  def __post_init__(self) -> None:
    if self.start not in STARTS:
      raise UserError(f'search.start: {self.start!r}: allowed are'
                      f' {list(STARTS)}')
    if self.order not in ORDERS:
      raise UserError(f'search.order: {self.order!r}: allowed are'
                      f' {list(ORDERS)}')


class Layerwise(Strategy):
  """What all layerwise schedules share: passes with layer tables.

  Attributes:
    settings: of the passes.
    passes: the pass under way is the last one.
    observer: told of all children of the passes opened from now on, or None.
  """

  def __init__(self, settings: PassSettings = PassSettings()):
    """Makes a schedule that has not begun.

    Args:
      settings: of its passes.
    """
    self.settings = settings
    self.passes: list[LayerPass] = []
    self.observer: PassObserver | None = None

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Offers the child to the layer table that it was made for."""
    self.passes[-1].place(proposal, trial)

  def holders(self, proposal: Proposal) -> list[int] | None:
    """Trials of the entries in the child's bucket, if it is full."""
    table = self.passes[-1].tables[proposal.length]
    entries = table.holders(proposal.cost)
    return entries and [entry.trial for entry in entries]

  @property
  def infeasible(self) -> int:
    """Children dropped because no completion of theirs reaches the target."""
    return sum(sum(layer_pass.infeasible) for layer_pass in self.passes)

  def first_pass(self, context: Context) -> LayerPass:
    """Opens a pass as the settings say."""
    start = STARTS[self.settings.start](context.problem, context.rng)
    return self.next_pass(context, start)

  def next_pass(
      self, context: Context, start: tuple[int, ...]
  ) -> LayerPass:
    """Opens a pass from a given network."""
    layers = len(context.problem.space)
    order = layer_order(
        self.settings.order, layers, len(self.passes), context.rng
    )
    self.passes.append(
        LayerPass(
            context.problem, order, start, self.settings.tables, self.observer
        )
    )
    return self.passes[-1]


def sweep_pass(layer_pass: LayerPass) -> Generations:
  """Decides the layers of a pass one by one.

  Args:
    layer_pass: freshly opened.

  Yields:
    All feasible children of a layer, for each layer.

  Returns:
    Why it ended.
  """
  for length in range(1, len(layer_pass.order) + 1):
    prefixes = [e.architecture for e in layer_pass.tables[length - 1].entries()]
    if not prefixes:
      return f'no trial of the layer before number {length} succeeded'
    families = layer_pass.children(prefixes, length)
    children = [child for family in families for child in family]
    if not children:
      return f'no child in layer number {length} can reach the target'
    layer_pass.open_table(np.array([child.cost for child in children]))
    yield children
  return 'every layer decided'


class Sweep(Layerwise):
  """One pass (method of the paper, each layer visited once)."""

  def generations(self, context: Context) -> Generations:
    """Yields the children of each layer in turn."""
    return (yield from sweep_pass(self.first_pass(context)))

  def bound(self, problem: Problem) -> int | None:
    """H * keep * sum of option counts."""
    tables = self.settings.tables
    return tables.buckets * tables.keep * sum(problem.space.option_counts)


class Recentred(Layerwise):
  """After a sweep, another whose undecided layers stand at the incumbent.

  Cost axes and reachable intervals are computed anew for every pass. It ends
  when two passes in a row (one in each direction, where the order alternates)
  leave the incumbent as it was.
  """

  def generations(self, context: Context) -> Generations:
    """Yields the children of each layer, pass after pass."""
    yield from sweep_pass(self.first_pass(context))
    start = self.passes[0].start
    unchanged = 0
    while True:
      incumbent = context.incumbent()
      if incumbent is None:
        return 'no network in the target interval was evaluated'
      best = incumbent.candidate.architecture
      unchanged = unchanged + 1 if best == start else 0
      if unchanged == 2:
        return 'two passes in a row found nothing better'
      start = best
      yield from sweep_pass(self.next_pass(context, start))

  def bound(self, problem: Problem) -> int | None:
    """None: the number of passes is not known beforehand."""
    del problem
    return None
