"""Schedules that decide layer by layer: `sweep`, and `recentred` (ours).

A sweep visits each layer once and evaluates all children of the entries in its
table: the paper's method. The recentred schedule repeats it: each further sweep
starts from the options of the best network so far.
"""

import dataclasses
import itertools

import numpy as np

from layernas.errors import UserError
from layernas.search.layer_pass import ORDERS
from layernas.search.layer_pass import LayerPass
from layernas.search.layer_pass import TableSettings
from layernas.search.layer_pass import check_start
from layernas.search.layer_pass import layer_order
from layernas.search.layer_pass import start_network
from layernas.search.problem import Problem
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.strategy import Strategy
from layernas.search.trial import Proposal
from layernas.search.trial import Trial


@dataclasses.dataclass(eq=False)
class Layerwise(Strategy):
  """The base of all layerwise schedules: passes with layer tables.

  Attributes:
    buckets: H, buckets per layer; 100 in the paper.
    keep: entries per bucket.
    spacing: how the cost axis is cut, a key of `table.SPACINGS`.
    start: the network whose options undecided layers have: a key of
      `layer_pass.STARTS`, or option numbers joined by dashes.
    order: one of `layer_pass.ORDERS`.
    tables: buckets, keep and spacing.
    passes: all passes so far; the last one is running.
  """

  buckets: int = TableSettings.buckets
  keep: int = TableSettings.keep
  spacing: str = TableSettings.spacing
  start: str = 'default'
  order: str = 'forward'

  def __post_init__(self) -> None:
    self.tables = TableSettings(self.buckets, self.keep, self.spacing)
    if self.order not in ORDERS:
      raise UserError(
          f'search.order: {self.order!r}: allowed are {list(ORDERS)}'
      )
    check_start(self.start)
    self.passes: list[LayerPass] = []

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Offers the child to the layer table that it was made for."""
    self.passes[-1].place(proposal, trial)

  def rivals(self, proposal: Proposal) -> list[int] | None:
    """Trials of the entries in the child's bucket, if it is full."""
    table = self.passes[-1].tables[proposal.length]
    entries = table.entries_of(proposal.cost)
    return entries and [entry.trial for entry in entries]

  @property
  def infeasible(self) -> int:
    """Number of children dropped because no completion reaches the target."""
    return sum(sum(layer_pass.infeasible) for layer_pass in self.passes)

  def first_pass(self, context: Context) -> LayerPass:
    """Opens the pass that the settings describe."""
    return self.next_pass(
        context, start_network(self.start, context.problem, context.rng)
    )

  def next_pass(self, context: Context, start: Architecture) -> LayerPass:
    """Opens a pass from a given network."""
    layers = len(context.problem.space)
    order = layer_order(self.order, layers, len(self.passes), context.rng)
    self.passes.append(
        LayerPass(context.problem, order, start, self.tables, self.observer)
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
  """The paper's method in a single pass, which visits each layer once."""

  def generations(self, context: Context) -> Generations:
    """Yields the children of each layer in turn."""
    return (yield from sweep_pass(self.first_pass(context)))

  def bound(self, problem: Problem) -> int | None:
    """H * keep * sum of option counts."""
    return self.buckets * self.keep * sum(problem.space.option_counts)


class Recentred(Layerwise):
  """Sweeps in which undecided layers have the incumbent's options.

  Cost axes and reachable intervals are computed for every pass. The schedule
  ends when two passes in a row (one in each direction, if the order alternates)
  leave the incumbent unchanged; the number of passes is not known beforehand.
  Several upper limits take turns of two passes, each with its own incumbent and
  target.
  """

  def generations(self, context: Context) -> Generations:
    """Yields the children of each layer, pass after pass."""
    yield from sweep_pass(self.first_pass(context))
    if context.incumbent() is None:
      return 'no network in the target interval was evaluated'
    limits = context.problem.each_limit
    starts = [self.passes[0].start] * len(limits)
    unchanged = 0
    for number in itertools.cycle(np.repeat(range(len(limits)), 2).tolist()):
      incumbent = context.incumbent(number)
      # Its passes may find the first network of a limit that has none.
      best = incumbent.candidate.architecture if incumbent else starts[number]
      unchanged = unchanged + 1 if best == starts[number] else 0
      if unchanged == 2 * len(limits):
        return 'two passes in a row found nothing better'
      starts[number] = best
      under = dataclasses.replace(context, problem=limits[number])
      yield from sweep_pass(self.next_pass(under, best))
