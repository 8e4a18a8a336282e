"""One pass over all layers: where it starts, its order and its layer tables.

A pass decides the layers one by one in some order. Undecided layers have the
options of a start network, so that every prefix is a complete network, which
has a cost and can be trained. The table of each length keeps the best prefixes
of each bucket of costs; their children are the prefixes of the next length.
"""

import dataclasses
import random
import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from layernas.errors import UserError
from layernas.plain import check_integers
from layernas.search.cost import ChildCosts
from layernas.search.cost import Number
from layernas.search.cost import cost_text
from layernas.search.problem import Problem
from layernas.search.space import Architecture
from layernas.search.space import parse_architecture_id
from layernas.search.table import SPACINGS
from layernas.search.table import BucketAxis
from layernas.search.table import Entry
from layernas.search.table import LayerTable
from layernas.search.trial import Proposal
from layernas.search.trial import Trial

# Draws before a random network is built layer by layer instead; where fewer
# than about one network in a thousand is feasible, drawing is the slower way.
_DRAWS = 1000


def default_start(problem: Problem, rng: random.Random) -> Architecture:
  """The default option of every layer."""
  del rng
  return problem.space.default


def smallest_start(problem: Problem, rng: random.Random) -> Architecture:
  """The cheapest network (if options do not trade off between layers)."""
  del rng
  return _greedy(problem, lambda priced, _: int(np.argmin(priced.low)))


def largest_start(problem: Problem, rng: random.Random) -> Architecture:
  """The most expensive network (if options do not trade off between layers)."""
  del rng
  return _greedy(problem, lambda priced, _: int(np.argmax(priced.high)))


def random_start(problem: Problem, rng: random.Random) -> Architecture:
  """A random network in the target interval.

  It is uniform over the feasible networks if these are not rare; otherwise it
  is built layer by layer from options that can still reach the target.

  Args:
    problem: space, cost and target.
    rng: random source.

  Returns:
    An architecture.

  Raises:
    UserError: none was found; the target interval is too narrow.
  """
  counts = problem.space.option_counts
  for _ in range(_DRAWS):
    drawn = tuple(rng.randrange(count) for count in counts)
    if problem.admits(drawn, problem.cost.cost(drawn)):
      return drawn

  def choose(priced: ChildCosts, feasible: np.ndarray) -> int:
    del priced
    options = np.flatnonzero(feasible)
    return int(rng.choice(options)) if options.size else 0

  for _ in range(_DRAWS):
    built = _greedy(problem, choose)
    if problem.admits(built, problem.cost.cost(built)):
      return built
  further = ''.join(
      f', limits.{limit.cost.name} {cost_text(limit.high)}'
      for limit in problem.limits
  )
  raise UserError(
      f'target interval [{problem.target.low:,},'
      f' {problem.target.high:,}]{further}: no network found in it in'
      f' {2 * _DRAWS:,} draws; allowed is an interval that more networks reach'
  )


def _greedy(
    problem: Problem, choose: Callable[[ChildCosts, np.ndarray], int]
) -> Architecture:
  """Decides layer by layer by the options' reachable intervals.

  Args:
    problem: space, cost and target.
    choose: given the costs of a layer's options, arrays of shape (options,),
      and which of them can reach the target, the index of one.
  """
  architecture = np.array([problem.space.default])
  for layer in range(len(problem.space)):
    priced, feasible = problem.children(architecture, range(layer), layer)
    architecture[0, layer] = choose(
        ChildCosts(priced.cost[0], priced.low[0], priced.high[0]), feasible[0]
    )
  return tuple(architecture[0].tolist())


STARTS: dict[str, Callable[[Problem, random.Random], Architecture]] = {
    'default': default_start,
    'smallest': smallest_start,
    'largest': largest_start,
    'random': random_start,
}
"""Named networks to start a pass from. 'default' is the paper's."""

def check_start(start: str) -> None:
  """Raises UserError unless a start has a name or is option numbers."""
  if not isinstance(start, str) or (
      start not in STARTS and not re.fullmatch(r'\d+(-\d+)*', start)
  ):
    raise UserError(
        f'search.start: {start!r}: allowed are {list(STARTS)}, and option'
        ' numbers joined by dashes'
    )


def start_network(
    start: str, problem: Problem, rng: random.Random
) -> Architecture:
  """The network whose options undecided layers have.

  Args:
    start: key of `STARTS`, or option numbers joined by dashes.
    problem: space, cost and target.
    rng: random source.

  Returns:
    An architecture of the space.

  Raises:
    UserError: the space has none of these numbers.
  """
  if start in STARTS:
    return STARTS[start](problem, rng)
  architecture = parse_architecture_id(start)
  problem.space.check(architecture)
  return architecture


ORDERS = ('forward', 'backward', 'alternating', 'random')
"""Named orders of the layers. 'forward' is the paper's; the others are ours."""


def layer_order(
    name: str, layers: int, number: int, rng: random.Random
) -> tuple[int, ...]:
  """Order in which a pass decides the layers.

  Args:
    name: one of `ORDERS`; 'alternating' is forward in even passes and backward
      in odd ones.
    layers: how many there are.
    number: number of the pass, from 0.
    rng: random source.

  Returns:
    A permutation of 0..layers-1.
  """
  order = list(range(layers))
  if name == 'backward' or (name == 'alternating' and number % 2):
    order.reverse()
  elif name == 'random':
    rng.shuffle(order)
  return tuple(order)


@dataclasses.dataclass(frozen=True)
class TableSettings:
  """Size and shape of the layer tables.

  Attributes:
    buckets: H, buckets per layer; 100 in the paper.
    keep: entries per bucket; our choice.
    spacing: how the cost axis is cut, a key of `table.SPACINGS`; our choice.
  """

  buckets: int = 100
  keep: int = 1
  spacing: str = 'linear'

  def __post_init__(self) -> None:
    check_integers('search', buckets=self.buckets, keep=self.keep)
    if self.spacing not in SPACINGS:
      raise UserError(
          f'search.spacing: {self.spacing!r}: allowed are {list(SPACINGS)}'
      )


class PassObserver(Protocol):
  """Observes how the tables of a pass are filled."""

  def priced(
      self, layer_pass: 'LayerPass', prefixes: Sequence[Architecture],
      length: int, costs: ChildCosts, feasible: np.ndarray,
  ) -> None:
    """Prefixes were extended by all options of a layer.

    Args:
      layer_pass: the pass.
      prefixes: prefixes of length `length` - 1.
      length: length of the children.
      costs: costs of the children, with their reachable intervals.
      feasible: bool, shape (prefixes, options); the other children are dropped.
    """

  def placed(
      self, layer_pass: 'LayerPass', proposal: Proposal, trial: Trial,
      loser: Entry | None,
  ) -> None:
    """A child was offered to its layer's table.

    Args:
      layer_pass: the pass.
      proposal: the child.
      trial: its result; one without a reward was not offered.
      loser: the entry that did not fit into the bucket, perhaps the child's.
    """


class LayerPass:
  """Layer tables M_0..M_L for one order of the layers and one start network.

  Attributes:
    order: indices of the layers in the order in which they are decided.
    start: architecture whose options undecided layers have.
    tables: tables[l] holds prefixes of length l; tables[0] only the start.
    infeasible: infeasible[l] counts the children of length l that were dropped
      because no completion reaches the target.
    observer: notified of all children, or None.
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
      settings: settings of the tables.
      observer: notified of all children.
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
      prefixes: prefixes of length `length` - 1.
      length: number of layers that the children have decided.

    Returns:
      For each prefix its feasible children in the order of the options.
    """
    layer = self.order[length - 1]
    priced, feasible = self.problem.children(
        np.array(prefixes), self.order[:length - 1], layer
    )
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
    """Offers a child that has a reward to its layer's table.

    Args:
      proposal: the child.
      trial: its result.

    Returns:
      The child's entry, or None if it did not fit; and the entry that it
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
