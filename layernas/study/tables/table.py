"""Enumerated benchmarks: figures for every architecture of a space."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from layernas.errors import UserError
from layernas.search import FactoredCost
from layernas.search import SearchSpace
from layernas.search import table_cost


@dataclasses.dataclass(frozen=True, eq=False)
class BenchmarkTable:
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
    if name not in self.columns:
      raise UserError(
          f'table {self.name!r}: column {name!r}: allowed are'
          f' {sorted(self.columns)}'
      )
    return self.columns[name]

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

  def with_column(self, name: str, values: np.ndarray) -> 'BenchmarkTable':
    """This table with one more column, or another one of that name."""
    columns = dict(self.columns) | {name: values}
    return dataclasses.replace(self, columns=columns)


def unit_of(column: str) -> str:
  """Unit of a cost column: what its name begins with, '' where unknown."""
  units = {'madds': 'MAdds', 'params': 'parameters', 'ms_': 'ms'}
  for start, unit in units.items():
    if column.startswith(start):
      return unit
  return ''
