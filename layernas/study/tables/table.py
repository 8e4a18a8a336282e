"""Tables of benchmarks: figures and costs of the architectures of a space."""

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
  """A figure of every architecture; an array is one."""

  def item(self, architecture: Architecture) -> float:
    """Figure of an architecture; nan where the benchmark lacks it."""


@dataclasses.dataclass(frozen=True)
class Survey:
  """What is known of all networks in a target interval; None where it is not.

  Attributes:
    feasible: number of these networks.
    optimum: their best figure.
  """

  feasible: int | None = None
  optimum: float | None = None


class Table(abc.ABC):
  """What a benchmark looks up in.

  Attributes:
    name: for messages and reports.
    space: of the architectures.
  """

  name: str
  space: SearchSpace

  @abc.abstractmethod
  def column(self, name: str) -> Column:
    """A column by name.

    Args:
      name: of the column.

    Returns:
      Its figures.

    Raises:
      UserError: there is no such column.
    """

  @abc.abstractmethod
  def cost(self, name: str) -> Cost:
    """A column as a cost model.

    Args:
      name: of the column.

    Returns:
      The cost model, named as the column.

    Raises:
      UserError: there is no such column, or it is no cost.
    """

  def mean(self, names: Sequence[str]) -> Column:
    """Mean of some columns; of a single one, the column itself."""
    columns = [self.column(name) for name in names]
    return columns[0] if len(columns) == 1 else _Mean(tuple(columns))

  def survey(
      self, cost: str, target: TargetInterval, figures: Sequence[str],
      sign: int,
  ) -> Survey:
    """What is known of all networks in a target interval.

    Args:
      cost: column that the interval is of.
      target: the interval.
      figures: columns whose mean is asked for.
      sign: 1 where larger means are better, -1 where smaller ones are.

    Returns:
      As much as the table knows: nothing, unless it says otherwise.
    """
    del cost, target, figures, sign
    return Survey()

  def content(self, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """Arrays that differ where figures differ, for digests.

    Args:
      columns: that a run reads.

    Returns:
      Arrays by name; here the figures of the default network and of some
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
  """Columns of figures over all architectures of a space.

  Attributes:
    name: for messages and reports.
    space: of the architectures.
    columns: by name, arrays of the shape of the space's option counts; the
      entry at an architecture's option indices is its figure.
  """

  name: str
  space: SearchSpace
  columns: Mapping[str, np.ndarray]

  def column(self, name: str) -> np.ndarray:
    """A column by name.

    Args:
      name: of the column.

    Returns:
      Array of the shape of the space's option counts.

    Raises:
      UserError: there is no such column.
    """
    return named_column(self, self.columns, name)

  def cost(self, name: str) -> FactoredCost:
    """A column as a cost model; its reachable intervals are exact.

    Args:
      name: of the column.

    Returns:
      The cost model, named and with its unit as the column.

    Raises:
      UserError: there is no such column.
    """
    return table_cost(name, self.space, self.column(name), unit_of(name))

  def mean(self, names: Sequence[str]) -> np.ndarray:
    """Mean of some columns, likewise an array."""
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
    known = self.mean(figures)[feasible]
    best = known.max() if sign > 0 else known.min()
    return Survey(int(feasible.sum()), best.item())

  def content(self, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """The columns themselves."""
    return {name: self.column(name) for name in columns}

  def with_column(self, name: str, values: np.ndarray) -> 'BenchmarkTable':
    """This table with one more column, or another one of that name."""
    columns = dict(self.columns) | {name: values}
    return dataclasses.replace(self, columns=columns)


@dataclasses.dataclass(eq=False)
class Oracle(Table):
  """Figures that functions give, over a space too large to enumerate.

  Attributes:
    name: for messages and reports.
    space: of the architectures.
    figures: by the names of their columns, functions of an architecture that
      return a finite number, the same one whenever they are asked.
    costs: cost models over the space; their names are columns too.
  """

  name: str
  space: SearchSpace
  figures: Mapping[str, Callable[[Architecture], float]]
  costs: Sequence[Cost]

  def column(self, name: str) -> Column:
    """A figure or a cost, worked out when it is asked for."""
    functions = {each.name: each.cost for each in self.costs}
    function = named_column(self, functions | dict(self.figures), name)
    return _Figures(f'table {self.name!r}: column {name!r}', function)

  def cost(self, name: str) -> Cost:
    """A cost model by name; UserError where there is none of that name."""
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
  """The table, which has to hold every architecture.

  Args:
    table: of a benchmark.
    where: that needs it so, for errors.

  Returns:
    The same table.

  Raises:
    UserError: it gives figures on demand.
  """
  if not isinstance(table, BenchmarkTable):
    raise UserError(
        f'{where}: the figures of table {table.name!r} are worked out one by'
        ' one: allowed are tables that hold every architecture'
    )
  return table


def named_column(table: Table, columns: Mapping[str, Any], name: str) -> Any:
  """One of a table's columns; UserError where there is none of that name."""
  if name not in columns:
    raise UserError(
        f'table {table.name!r}: column {name!r}: allowed are {sorted(columns)}'
    )
  return columns[name]


def unit_of(column: str) -> str:
  """Unit of a cost column: what its name begins with, '' where unknown."""
  units = {'madds': 'MAdds', 'params': 'parameters', 'ms_': 'ms'}
  for start, unit in units.items():
    if column.startswith(start):
      return unit
  return ''
