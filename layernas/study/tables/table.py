"""Benchmark tables: figures and costs of the architectures of a space."""

import abc
import dataclasses
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

import numpy as np

from layernas.errors import UserError
from layernas.lookup import blamed
from layernas.search import Architecture
from layernas.search import Cost
from layernas.search import FactoredCost
from layernas.search import SearchSpace
from layernas.search import table_cost
from layernas.search.problem import TargetInterval

# Networks by whose figures two oracles are told apart.
_SAMPLED = 64


class Column(Protocol):
  """A figure for every architecture, such as an array."""

  def item(self, architecture: Architecture) -> float:
    """Figure of an architecture; nan if the benchmark lacks it."""


@dataclasses.dataclass(frozen=True)
class Survey:
  """Facts on all networks in a target interval, None if unknown.

  Attributes:
    feasible: number of these networks.
    optimum: their best figure.
  """

  feasible: int | None = None
  optimum: float | None = None


class Table(abc.ABC):
  """The base of benchmark tables.

  Attributes:
    name: name in messages and reports.
    space: space of the architectures.
  """

  name: str
  space: SearchSpace

  @abc.abstractmethod
  def column(self, name: str) -> Column:
    """A column by name.

    Args:
      name: name of the column.

    Returns:
      Its figures.

    Raises:
      UserError: there is no such column.
    """

  @abc.abstractmethod
  def cost(self, name: str) -> Cost:
    """A column as a cost model.

    Args:
      name: name of the column.

    Returns:
      The cost model, named as the column.

    Raises:
      UserError: there is no such column, or it is not a cost.
    """

  def mean(self, names: Sequence[str]) -> Column:
    """Mean of columns; for a single one, the column itself."""
    columns = [self.column(name) for name in names]
    return columns[0] if len(columns) == 1 else _Mean(tuple(columns))

  def survey(
      self, cost: str, target: TargetInterval, figures: Sequence[str],
      sign: int,
  ) -> Survey:
    """Facts on all networks in a target interval.

    Args:
      cost: column of the cost.
      target: the interval.
      figures: columns whose mean is optimised.
      sign: 1 if larger means are better, -1 if smaller ones are.

    Returns:
      What the table knows; nothing by default.
    """
    del cost, target, figures, sign
    return Survey()

  def content(self, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """Arrays that differ if figures differ, for digests.

    Args:
      columns: columns that a run reads.

    Returns:
      Arrays by name; by default the figures of the default network and of some
      random ones.
    """
    counts = self.space.option_counts
    drawn = np.random.default_rng(0).integers(counts, size=(_SAMPLED,
                                                            len(counts)))
    networks = [self.space.default, *map(tuple, drawn.tolist())]
    return {
        name: np.array([self.column(name).item(each) for each in networks])
        for name in columns
    }


@dataclasses.dataclass(frozen=True, eq=False)
class BenchmarkTable(Table):
  """A table with columns of figures over all architectures of a space.

  Attributes:
    name: name in messages and reports.
    space: space of the architectures.
    columns: arrays by name, of the shape of the space's option counts; the
      entry at an architecture's option indices is its figure.
  """

  name: str
  space: SearchSpace
  columns: Mapping[str, np.ndarray]

  def column(self, name: str) -> np.ndarray:
    """A column by name.

    Args:
      name: name of the column.

    Returns:
      Array of the shape of the space's option counts.

    Raises:
      UserError: there is no such column.
    """
    return named_column(self, self.columns, name)

  def cost(self, name: str) -> FactoredCost:
    """A column as a cost model; its reachable intervals are exact.

    Args:
      name: name of the column.

    Returns:
      The cost model, with the name and the unit of the column.

    Raises:
      UserError: there is no such column.
    """
    return table_cost(name, self.space, self.column(name), unit_of(name))

  def mean(self, names: Sequence[str]) -> np.ndarray:
    """Mean of columns, an array of the same shape."""
    columns = [self.column(name) for name in names]
    return columns[0] if len(columns) == 1 else np.mean(columns, axis=0)

  def feasible(self, cost: str, target: TargetInterval) -> np.ndarray:
    """Whether an architecture's cost lies in a target; bool, table shape."""
    costs = self.column(cost)
    return target.meets(costs, costs)

  def survey(
      self, cost: str, target: TargetInterval, figures: Sequence[str],
      sign: int,
  ) -> Survey:
    """Counts the networks of the target and takes their best mean."""
    feasible = self.feasible(cost, target)
    if not feasible.any():
      return Survey(0)
    known = self.mean(figures)[feasible]
    best = known.max() if sign > 0 else known.min()
    return Survey(int(feasible.sum()), best.item())

  def content(self, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """The columns themselves."""
    return {name: self.column(name) for name in columns}

  def with_column(self, name: str, values: np.ndarray) -> 'BenchmarkTable':
    """This table with a column added or replaced."""
    columns = dict(self.columns) | {name: values}
    return dataclasses.replace(self, columns=columns)


@dataclasses.dataclass(eq=False)
class Oracle(Table):
  """A table of figures from functions, over a space of any size.

  Attributes:
    name: name in messages and reports.
    space: space of the architectures.
    figures: functions by the names of their columns; each takes an architecture
      and returns a finite number, the same one in every call.
    costs: cost models over the space; their names are columns too.
  """

  name: str
  space: SearchSpace
  figures: Mapping[str, Callable[[Architecture], float]]
  costs: Sequence[Cost]

  def column(self, name: str) -> Column:
    """A figure or a cost, computed on demand."""
    functions = {each.name: each.cost for each in self.costs}
    function = named_column(self, functions | dict(self.figures), name)
    return _Figures(f'table {self.name!r}: column {name!r}', function)

  def cost(self, name: str) -> Cost:
    """A cost model by name; raises UserError if there is none."""
    return named_column(self, {each.name: each for each in self.costs}, name)


@dataclasses.dataclass(frozen=True)
class _Mean:
  """A column that is the mean of others."""

  columns: tuple[Column, ...]

  def item(self, architecture: Architecture) -> float:
    """Mean figure of an architecture."""
    figures = [column.item(architecture) for column in self.columns]
    return float(np.mean(figures))


@dataclasses.dataclass(frozen=True)
class _Figures:
  """A column whose figures a function gives."""

  where: str
  function: Callable[[Architecture], float]

  def item(self, architecture: Architecture) -> float:
    """Figure of an architecture; UserError where it is no finite number."""
    with blamed(self.where, self.function):
      figure = self.function(architecture)
    try:
      number = float(figure)
    except (TypeError, ValueError):
      number = math.nan
    if not math.isfinite(number):
      raise UserError(
          f'{self.where}: {figure!r} for architecture {architecture}: allowed'
          ' are finite numbers'
      )
    return number


def enumerated(table: Table, where: str) -> BenchmarkTable:
  """Checks that a table has every architecture.

  Args:
    table: table of a benchmark.
    where: what needs such a table, for errors.

  Returns:
    The same table.

  Raises:
    UserError: the table computes figures on demand.
  """
  if not isinstance(table, BenchmarkTable):
    raise UserError(
        f'{where}: the figures of table {table.name!r} are worked out one by'
        ' one: allowed are tables that hold every architecture'
    )
  return table


def named_column(table: Table, columns: Mapping[str, Any], name: str) -> Any:
  """A column of a table by name; raises UserError if there is none."""
  if name not in columns:
    raise UserError(
        f'table {table.name!r}: column {name!r}: allowed are {sorted(columns)}'
    )
  return columns[name]


def unit_of(column: str) -> str:
  """Unit of a cost column, from its name; '' if unknown."""
  units = {'madds': 'MAdds', 'params': 'parameters', 'ms_': 'ms'}
  for start, unit in units.items():
    if column.startswith(start):
      return unit
  return ''
