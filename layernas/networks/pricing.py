"""Prices of the modules of a space, each computed once.

Where a module runs, layers decide what it is and how many filters it receives.
The cost table of that site has an entry for all their options together, and
most entries share their module, or their filters, with others.
"""

import dataclasses
import functools
import math
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np

from layernas.errors import UserError
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import Module
from layernas.networks.spec import ModuleInput
from layernas.networks.spec import Stem
from layernas.search.cost import Number

Price = Callable[[Module, int, int], Number]
"""Takes a module, the filters and the side of its input; returns its cost."""

Prices = Callable[[Module, Sequence[int], int], Sequence[Number]]
"""The same for several numbers of filters at once."""

LARGEST = 20_000_000
"""Entries of a cost table at most: more take minutes and gigabytes."""

# Seconds before the first line about a table, and between two lines.
_FIRST, _NEXT = 1.5, 10.0

# Numbers of filters from which on an array is faster.
_ARRAY = 16

# Sums below it are exact as integers and as floats (`search.cost`).
_LIMIT = 2**53


@dataclasses.dataclass(frozen=True)
class Choices:
  """What a site may hold and receive, over the options of some layers.

  Attributes:
    modules: distinct ones; None where the site is left out, which is free.
    filters: distinct numbers that it receives.
    module_index: into `modules`, an axis for each layer, of length one where
      the layer does not matter.
    filter_index: likewise into `filters`.
    size: side of what it receives.
  """

  modules: Sequence[Module | None]
  filters: Sequence[int]
  module_index: np.ndarray
  filter_index: np.ndarray
  size: int

  @functools.cached_property
  def _pairs(self) -> np.ndarray:
    """Of a module and a number of filters, for each entry of the table."""
    return self.module_index * len(self.filters) + self.filter_index

  def distinct(self) -> Iterator[tuple[Module, int, int]]:
    """Module, filters and side, in the order in which they come first."""
    pairs, first = np.unique(self._pairs, return_index=True)
    for pair in pairs[np.argsort(first)].tolist():
      index, filters = divmod(pair, len(self.filters))
      module = self.modules[index]
      if module is not None:
        yield module, self.filters[filters], self.size

  def table(self, prices: Prices) -> np.ndarray:
    """A price for every entry.

    Args:
      prices: of a module over numbers of filters.

    Returns:
      The table, an axis for each layer.
    """
    pairs, entries = np.unique(self._pairs, return_inverse=True)
    modules, filters = np.divmod(pairs, len(self.filters))
    found: list[Number] = []
    ends = np.flatnonzero(np.diff(modules, append=-1)) + 1
    begin = 0
    for end in ends.tolist():
      module = self.modules[modules[begin]]
      received = [self.filters[index] for index in filters[begin:end]]
      found += (
          [0] * len(received) if module is None
          else prices(module, received, self.size)
      )
      begin = end
    return np.array(found)[entries].reshape(self._pairs.shape)


class Progress:
  """Says on standard error that a table takes long."""

  def __init__(
      self, what: str, total: int, clock: Callable[[], float] = time.monotonic
  ):
    """Begins to count.

    Args:
      what: the table, for people.
      total: how many entries there are.
      clock: seconds.
    """
    self._what, self._total, self._clock = what, total, clock
    self._done, self._due = 0, clock() + _FIRST

  def add(self, count: int = 1) -> None:
    """Counts prices; prints a line where one is due."""
    self._done += count
    now = self._clock()
    if now >= self._due:
      self._due = now + _NEXT
      print(
          f'{self._what}: {self._done:,} of at most {self._total:,} modules'
          ' are priced', file=sys.stderr, flush=True,
      )


def check_size(names: Sequence[str], counts: Sequence[int]) -> None:
  """Raises UserError where a table would be too large.

  Args:
    names: of the layers that decide a site.
    counts: of their options.
  """
  if math.prod(counts) > LARGEST:
    raise UserError(
        f'layers {list(names)} together decide one module and have'
        f' {math.prod(counts):,} combinations of options: allowed are at most'
        f' {LARGEST:,}'
    )


def one_by_one(price: Price, progress: Progress) -> Prices:
  """Prices several numbers of filters with a function of one.

  Args:
    price: of a module.
    progress: hears of each.

  Returns:
    The function.
  """
  def prices(
      module: Module, filters: Sequence[int], size: int
  ) -> Sequence[Number]:
    found = []
    for each in filters:
      found.append(price(module, each, size))
      progress.add()
    return found

  return prices


def counted(metric: str, num_classes: int, progress: Progress) -> Prices:
  """Prices modules by their counts, all numbers of filters at once if it can.

  Args:
    metric: a field of `Counts`.
    num_classes: width of the classifier.
    progress: hears of each.

  Returns:
    The function.
  """
  def price(module: Module, filters: int, size: int) -> int:
    counts = module.counts(ModuleInput(filters, size, num_classes))
    return getattr(counts, metric)

  single = one_by_one(price, progress)

  def prices(
      module: Module, filters: Sequence[int], size: int
  ) -> Sequence[int]:
    # Counts grow with the filters: none is above that of the most filters.
    if (
        len(filters) < _ARRAY or not _elementwise(module)
        or price(module, max(filters), size) >= _LIMIT
    ):
      return single(module, filters, size)
    progress.add(len(filters))
    found = price(module, np.array(filters, np.int64), size)
    return np.broadcast_to(found, len(filters)).tolist()

  return prices


def _elementwise(module: Module) -> bool:
  """Whether the counts' formulas take arrays of filters.

  Only of types whose formulas are known: a subclass may have others.
  """
  if type(module) is InvertedResidual:
    squeeze = module.squeeze
    return not squeeze or (module.expanded > 0 and squeeze.of == 'expanded')
  return type(module) in (Stem, Head)
