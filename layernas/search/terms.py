"""Terms of a cost's anchored decomposition, and the counts they are made of.

A cost is a sum of terms, one for each set of layers (cut-HDMR; Rabitz and Alis,
Journal of Mathematical Chemistry 25, 1999):

  f(x) = sum over T of u_T(x_T),  u_T(x_T) = sum over S in T of
      (-1)^|T - S| f(x_S, all other layers as in the anchor).

u_T is zero wherever a layer of T stands as in the anchor, and everywhere if the
layers of T do not interact.
"""

import functools
import itertools
import math
import random
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.cost import counted
from layernas.search.space import Architecture
from layernas.search.space import SearchSpace

Count = Callable[[Architecture], int]
"""Takes an architecture; returns its cost. May be slow."""

Progress = Callable[[int, int], None]
"""Hears how many networks are counted and how many will be, as far as known."""

Scope = tuple[int, ...]
"""Indices of layers, ascending."""

# Tables of so many counts are filled; of larger ones it is first tried whether
# they are products, which is checked at some of their other entries.
_FILLED = 32
_CHECKS = 4


class SpentError(Exception):
  """The budget does not suffice; the message says for what."""


class Counts:
  """Counted networks.

  Attributes:
    space: of the architectures.
    anchor: the network that others are changes of.
    known: counts of architectures.
    budget: of counts.
    planned: how many counts there will be, as far as known.
  """

  def __init__(
      self, space: SearchSpace, count: Count, budget: int,
      progress: Progress | None = None,
  ):
    """Counts nothing yet.

    Args:
      space: of the architectures.
      count: the cost of an architecture.
      budget: counts at most.
      progress: told after each.
    """
    self.space = space
    self.anchor = space.default
    self.known: dict[Architecture, int] = {}
    self.budget = budget
    self.planned = 1
    self._count = count
    self._progress = progress

  def __call__(self, architecture: Architecture) -> int:
    """The count of an architecture.

    Args:
      architecture: one option index per layer.

    Returns:
      The count, perhaps a known one.

    Raises:
      UserError: it is no integer.
      SpentError: it would exceed the budget.
    """
    if architecture not in self.known:
      if len(self.known) >= self.budget:
        raise SpentError(f'{self.budget:,} counts do not suffice')
      self.known[architecture] = counted(self._count, architecture)
      if self._progress:
        done = len(self.known)
        self._progress(done, max(done, self.planned))
    return self.known[architecture]

  def at(self, changes: Mapping[int, int]) -> int:
    """The count of the anchor with some layers changed."""
    changed = list(self.anchor)
    for layer, option in changes.items():
      changed[layer] = option
    return self(tuple(changed))

  def changed(self, architecture: Architecture) -> Scope:
    """Layers that do not stand as in the anchor."""
    return tuple(
        layer for layer, option in enumerate(architecture)
        if option != self.anchor[layer]
    )

  def difference(self, changes: Mapping[int, int]) -> int:
    """A term of the cost: the mixed difference between anchor and changes."""
    total = 0
    for size in range(len(changes) + 1):
      sign = (-1) ** (len(changes) - size)
      for part in itertools.combinations(changes.items(), size):
        total += sign * self.at(dict(part))
    return total


class Terms:
  """Tables of terms.

  Attributes:
    whole: sets of layers whose tables are counted entry by entry, whatever
      their size.
  """

  def __init__(self, counts: Counts, base: Sequence[int]):
    """Has no table yet.

    Args:
      counts: of networks.
      base: of each layer the option at which others are compared.
    """
    self._counts = counts
    self._base = base
    self.whole: set[Scope] = set()

  def tables(self, scopes: Iterable[Scope]) -> dict[Scope, np.ndarray]:
    """Tables of all terms within some scopes.

    Args:
      scopes: sets of layers.

    Returns:
      By set, smaller ones first: Python's integers, shape = option counts.

    Raises:
      SpentError: they take too many counts.
    """
    found: dict[Scope, np.ndarray] = {}
    for part in sorted(within(scopes), key=lambda one: (len(one), one)):
      found[part] = self._table(part, found)
    return found

  def needed(self, part: Scope) -> int:
    """Counts that a table takes as far as known, those of its parts aside."""
    if not self._may_be_product(part):
      return self._changes(part)
    options = self._counts.space.option_counts
    return 1 + sum(options[layer] - 2 for layer in part) + _CHECKS

  def _changes(self, part: Scope) -> int:
    """Networks in which exactly these layers are changed."""
    options = self._counts.space.option_counts
    return math.prod(options[layer] - 1 for layer in part)

  def _may_be_product(self, part: Scope) -> bool:
    return (
        len(part) > 1 and self._changes(part) > _FILLED
        and part not in self.whole
    )

  def _others(self, layer: int) -> list[int]:
    """Options that are not the anchor's."""
    options = range(self._counts.space.option_counts[layer])
    return [one for one in options if one != self._counts.anchor[layer]]

  def _table(
      self, part: Scope, smaller: Mapping[Scope, np.ndarray]
  ) -> np.ndarray:
    shape = tuple(self._counts.space.option_counts[layer] for layer in part)
    lower = np.zeros(shape, object)
    for other in within([part]) - {part}:
      lower = lower + _along(part, other, smaller[other])

    def term(choice: Sequence[int]) -> int:
      count = self._counts.at(dict(zip(part, choice, strict=True)))
      return count - lower[tuple(choice)]

    if self._may_be_product(part):
      table = self._product(part, term)
      if table is not None:
        return table
      self.whole.add(part)
    self._check(part)
    table = np.zeros(shape, object)
    for choice in itertools.product(*map(self._others, part)):
      table[choice] = term(choice)
    return table

  def _check(self, part: Scope) -> None:
    """Raises SpentError before a table is begun that cannot be filled."""
    counts = self._counts
    if self._changes(part) <= _FILLED:
      return
    done = sum(counts.changed(one) == part for one in counts.known)
    if len(counts.known) + self._changes(part) - done > counts.budget:
      raise SpentError(f'{counts.budget:,} counts do not suffice')

  def _product(
      self, part: Scope, term: Callable[[Sequence[int]], int]
  ) -> np.ndarray | None:
    """The table of a term that is a product of functions of single layers.

    Args:
      part: its layers.
      term: its value at options of theirs.

    Returns:
      The table; None where some entry is not such a product.
    """
    base = tuple(self._base[layer] for layer in part)
    unit = term(base)
    if not unit:
      return None
    rows = []
    for axis, layer in enumerate(part):
      row = np.zeros(self._counts.space.option_counts[layer], object)
      for option in self._others(layer):
        row[option] = term(base[:axis] + (option,) + base[axis + 1:])
      rows.append(row)
    products = functools.reduce(np.multiply, np.ix_(*rows))
    divisor = unit ** (len(part) - 1)
    if (products % divisor).any():
      return None
    table = products // divisor
    # The same ones whenever the table is made.
    rng = random.Random(repr(part))
    for _ in range(_CHECKS):
      choice = tuple(rng.choice(self._others(layer)) for layer in part)
      if term(choice) != table[choice]:
        return None
    return table


def within(scopes: Iterable[Scope]) -> set[Scope]:
  """All subsets of some sets; the empty one even if there are none."""
  return {()} | {
      part for scope in scopes for size in range(1, len(scope) + 1)
      for part in itertools.combinations(scope, size)
  }


def largest(scopes: Iterable[Scope]) -> list[Scope]:
  """Those sets that no other one holds."""
  found: list[Scope] = []
  for scope in sorted(scopes, key=lambda scope: (-len(scope), scope)):
    if not any(set(scope) <= set(other) for other in found):
      found.append(scope)
  return sorted(found)


def joined(found: set[Scope], size: int) -> Iterator[Scope]:
  """Sets of a size all of whose subsets with one layer less were found."""
  layers = sorted(set(itertools.chain(*found)))
  for scope in sorted(found):
    for layer in layers:
      if layer > scope[-1]:
        larger = (*scope, layer)
        if found.issuperset(itertools.combinations(larger, size - 1)):
          yield larger


def summed(
    space: SearchSpace, scopes: Iterable[Scope],
    tables: Mapping[Scope, np.ndarray],
) -> FactoredCost:
  """Adds terms up to factors; each term is in one of them.

  Args:
    space: of the architectures.
    scopes: of the factors.
    tables: of all terms within them.

  Returns:
    A constant, and a factor for each scope unless it is zero.
  """
  factors = [Factor((), np.array(int(tables[()])))]
  used: set[Scope] = {()}
  for scope in scopes:
    table = np.zeros([space.option_counts[layer] for layer in scope], object)
    for part in sorted(within([scope]) - used):
      table = table + _along(scope, part, tables[part])
      used.add(part)
    if table.any():
      factors.append(Factor(scope, np.array(table.tolist())))
  return FactoredCost('counts', space, factors)


def reanchored(
    model: FactoredCost, scopes: Iterable[Scope], anchor: Architecture
) -> FactoredCost:
  """The same cost by terms that are zero in another network.

  Args:
    model: the cost.
    scopes: of its factors.
    anchor: the network.

  Returns:
    The sum of the other terms.
  """
  tables: dict[Scope, np.ndarray] = {(): np.array(model.cost(anchor))}
  for scope in scopes:
    shape = [model.space.option_counts[layer] for layer in scope]
    networks = np.tile(anchor, (math.prod(shape), 1))
    networks[:, scope] = np.array(list(np.ndindex(*shape)))
    # Python's integers: differences of many may leave the range of NumPy's.
    costs = np.array(model.costs(networks).tolist(), object).reshape(shape)
    for part in within([scope]) - tables.keys():
      table = costs
      for axis, layer in enumerate(scope):
        standing = table.take([anchor[layer]], axis)
        table = table - standing if layer in part else standing
      tables[part] = table.reshape(
          [model.space.option_counts[layer] for layer in part]
      )
  return summed(model.space, scopes, tables)


def _along(scope: Scope, part: Scope, table: np.ndarray) -> np.ndarray:
  """A table of some layers of a scope; other axes have length one."""
  return np.expand_dims(table, [
      axis for axis, layer in enumerate(scope) if layer not in part
  ])
