"""NAS-Bench-101: a table of cells, which `convert` makes of an official file.

The package does not hold it; docs/nats_bench_files.md says how to make it. Its
columns, for each number of epochs E that the file has:

- valE_1, valE_2, valE_3: validation accuracy of three trainings, per cent.
- testE_1, testE_2, testE_3: their test accuracy, per cent.
- testE: the mean of these.
- secondsE: mean seconds of these trainings.
- params: parameters. `NO_CELL` where there is no such cell.
"""

import dataclasses
import functools
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from layernas import paths
from layernas.errors import UserError
from layernas.search import Architecture
from layernas.search import Cost
from layernas.search.cost import ChildCosts
from layernas.search.cost import children_of
from layernas.search.problem import TargetInterval
from layernas.study.tables.nasbench101_cells import ABSENT
from layernas.study.tables.nasbench101_cells import Cells
from layernas.study.tables.nasbench101_cells import CellSpace
from layernas.study.tables.nasbench101_files import Training
from layernas.study.tables.nasbench101_files import read_trainings
from layernas.study.tables.table import Column
from layernas.study.tables.table import Survey
from layernas.study.tables.table import Table
from layernas.study.tables.table import named_column

NAME = 'nasbench101'

CELLS = 423_624
"""Cells in the official files."""

NO_CELL = 50_000_000
"""Cost of an architecture without a cell. The largest cell has 49,979,274
parameters, so that an upper limit of `NO_CELL` - 1 allows all cells and nothing
else."""

_REPEATS = 3
"""Trainings of a cell for each number of epochs."""

_FIGURES = ('validation', 'test', 'seconds')
"""Of each training."""

# Cells whose rows are remembered: those of some thousand queries.
_REMEMBERED = 1 << 16


def load(file: str) -> 'CellTable':
  """Loads a table.

  Args:
    file: that tools/convert_nasbench101.py wrote.

  Returns:
    The table.

  Raises:
    UserError: there is no such file, or it is another one.
  """
  path = paths.expanded('table.settings.file', file)
  try:
    with np.load(path, allow_pickle=False) as arrays:
      return CellTable(arrays)
  except FileNotFoundError as error:
    raise UserError(
        f'table.settings.file: {path!r}: no such file; allowed is the table'
        ' that tools/convert_nasbench101.py makes of'
        ' nasbench_only108.tfrecord, see docs/nats_bench_files.md'
    ) from error
  except (
      OSError, EOFError, ValueError, KeyError, TypeError, AttributeError,
      zipfile.BadZipFile, zlib.error,
  ) as error:
    raise UserError(
        f'table.settings.file: {path!r}: {error}; allowed is a file that'
        ' tools/convert_nasbench101.py wrote'
    ) from error


class CellTable(Table):
  """Figures of the cells of an official file, over a layerwise space.

  An architecture is found whatever the order of the vertices of its cell. Where
  it has more edges than the largest cell, or the file lacks it, its cost is
  `NO_CELL` and its figures are nan.

  Attributes:
    name: for messages and reports.
    space: of the architectures.
    cells: those of the table.
    max_edges: of one of them.
    row: function of an architecture that returns its cell's index, or the
      number of cells where there is none; the last answers are remembered.
  """

  def __init__(self, arrays: Mapping[str, np.ndarray]):
    """Takes the arrays that `convert` makes.

    Args:
      arrays: by name.

    Raises:
      KeyError: an array is missing.
      ValueError: they are not of the cells of one space.
    """
    self.name = NAME
    self.cells = Cells(
        arrays['edges'], arrays['operations'].astype(np.int64)
    )
    parameters = arrays['parameters']
    count, vertices = self.cells.edges.shape[:2]
    if not count or vertices < 3:
      raise ValueError(f'{count} cells of at most {vertices} vertices, not 3')
    if not 0 <= parameters.min() <= parameters.max() < NO_CELL:
      raise ValueError(
          f'cells of {parameters.min():,} to {parameters.max():,} parameters,'
          f' not less than {NO_CELL:,}'
      )
    self.space = CellSpace(vertices)
    self.max_edges = int(self.cells.edge_counts.max())
    keys = self.cells.keys()
    self._order = np.argsort(keys)
    self._keys = keys[self._order]
    if (self._keys[1:] == self._keys[:-1]).any():
      raise ValueError('two of its cells are the same')
    # The last entries are those of architectures without a cell.
    self._columns = {'params': np.append(parameters.astype(np.int64), NO_CELL)}
    for name in arrays:
      if found := re.fullmatch(f'({"|".join(_FIGURES)})_(\\d+)', name):
        self._add(found[1], found[2], arrays[name].astype(np.float64))
    self.row = functools.lru_cache(_REMEMBERED)(self._row)

  def _add(self, figure: str, epochs: str, values: np.ndarray) -> None:
    """Adds the columns of a figure, shape (cells, trainings)."""
    if figure == 'seconds':
      self._columns[f'seconds{epochs}'] = np.append(values.mean(1), 0.0)
      return
    short = 'val' if figure == 'validation' else 'test'
    values = np.append(100 * values, np.full_like(values[:1], np.nan), 0)
    for number, column in enumerate(values.T, 1):
      self._columns[f'{short}{epochs}_{number}'] = column
    if figure == 'test':
      self._columns[f'test{epochs}'] = values.mean(1)

  def rows(self, architectures: np.ndarray) -> np.ndarray:
    """Where the cells of some architectures are.

    Args:
      architectures: option indices, shape (n, layers).

    Returns:
      Indices of `cells`, shape (n,); the number of these where there is none.
    """
    keys = self.space.cells(architectures).keys()
    place = np.searchsorted(self._keys, keys) % len(self._keys)
    found = self._keys[place] == keys
    return np.where(found, self._order[place], len(self.cells))

  def _row(self, architecture: Architecture) -> int:
    return self.rows(np.array([architecture])).item()

  def column(self, name: str) -> Column:
    """A column by name, see the top of the file."""
    return _CellColumn(self.row, named_column(self, self._columns, name))

  def cost(self, name: str) -> Cost:
    """The parameters as a cost model."""
    costs = {'params': self._columns['params']}
    return CellCost(self, named_column(self, costs, name))

  def survey(
      self, cost: str, target: TargetInterval, figures: Sequence[str],
      sign: int,
  ) -> Survey:
    """The best figure of the cells in the target.

    How many architectures lie in it is not known, unless there are none: a cell
    has several.
    """
    params = self._columns[cost][:-1]
    mean = np.mean([self._columns[name][:-1] for name in figures], 0)
    known = mean[target.meets(params, params)]
    if not known.size:
      return Survey(None if NO_CELL in target else 0)
    return Survey(None, (known.max() if sign > 0 else known.min()).item())

  def content(self, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """The cells and the columns."""
    return {'keys': self._keys, 'order': self._order} | {
        name: named_column(self, self._columns, name) for name in columns
    }


@dataclasses.dataclass(frozen=True)
class _CellColumn:
  """A figure of the cell of an architecture."""

  row: Callable[[Architecture], int]
  figures: np.ndarray

  def item(self, architecture: Architecture) -> float:
    """Figure of an architecture."""
    return self.figures.item(self.row(architecture))


class CellCost(Cost):
  """Parameters of cells, in which the layers are not independent.

  What a prefix can still reach lies between the smallest cell and `NO_CELL`,
  and is `NO_CELL` alone where it has too many edges already.
  """

  def __init__(self, table: CellTable, params: np.ndarray):
    """Takes the parameters of a table.

    Args:
      table: whose rows they are of.
      params: shape (cells + 1,), the last one `NO_CELL`.
    """
    super().__init__('params', table.space, 'parameters')
    self._table = table
    self._params = params

  def cost(self, architecture: Architecture) -> int:
    """Parameters of one architecture."""
    return self._params.item(self._table.row(tuple(architecture)))

  def costs(self, architectures: np.ndarray) -> np.ndarray:
    """Parameters of many architectures, see `Cost.costs`."""
    return self._params[self._table.rows(architectures)]

  def interval(
      self, architecture: Architecture, decided: Iterable[int]
  ) -> tuple[int, int]:
    """Reachable interval, see `Cost.interval`."""
    prefix = np.array([architecture])
    low, high = self._intervals(prefix, self.costs(prefix), decided)
    return low.item(), high.item()

  def child_costs(
      self, prefixes: np.ndarray, decided: Sequence[int], layer: int
  ) -> ChildCosts:
    """Prices the children of prefixes, see `Cost.child_costs`."""
    children = children_of(self.space, prefixes, layer)
    cost = self.costs(children)
    low, high = self._intervals(children, cost, [*decided, layer])
    shape = len(prefixes), -1
    return ChildCosts(
        cost.reshape(shape), low.reshape(shape), high.reshape(shape)
    )

  def _intervals(
      self, prefixes: np.ndarray, cost: np.ndarray, decided: Iterable[int]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Reachable intervals of prefixes, whose costs as they stand are known."""
    decided = set(decided)
    if len(decided) == len(self.space):
      return cost, cost
    edges = self.space.fewest_edges(prefixes, decided)
    low = np.where(
        edges > self._table.max_edges, NO_CELL, self._params.min()
    )
    return low, np.full_like(low, NO_CELL)


def convert(
    path: str | os.PathLike[str], progress: Callable[[int], None]
) -> dict[str, np.ndarray]:
  """Makes the arrays of a table from an official file.

  Args:
    path: of the file.
    progress: told how many bytes have been read.

  Returns:
    Arrays with a row for every cell, in the order of the file: `edges` and
    `operations` as in `Cells`, `parameters`, and for each number of epochs
    `validation_E`, `test_E` (from 0 to 1) and `seconds_E`, shape (cells, 3).

  Raises:
    UserError: a record is damaged, or a cell lacks trainings, has others that
      disagree with them, or is there under two hashes.
  """
  cells: dict[str, _Cell] = {}
  figures: dict[int, _Figures] = {}
  for training in read_trainings(path, progress):
    found = _Cell(
        len(cells), training.edges.tobytes(), training.operations,
        training.parameters,
    )
    cell = cells.setdefault(training.cell, found)
    if cell[1:] != found[1:]:
      raise UserError(
          f'{path}: cell {training.cell}: two of its trainings have other'
          ' edges, operations or parameters; allowed are the official files'
      )
    each = figures.setdefault(training.epochs, _Figures())
    each.add(cell.row, training)
  if not cells:
    raise UserError(f'{path}: no records; allowed are the official files')
  arrays = _described(list(cells.values()))
  for epochs, each in sorted(figures.items()):
    values = each.complete(path, epochs, list(cells))
    for number, figure in enumerate(_FIGURES):
      arrays[f'{figure}_{epochs}'] = values[:, :, number]
  try:
    CellTable(arrays)
  except ValueError as error:
    raise UserError(
        f'{path}: {error}; allowed are the official files'
    ) from error
  return arrays


class _Cell(NamedTuple):
  """What the trainings of a cell share, as little as it can be."""

  row: int
  edges: bytes
  operations: tuple[int, ...]
  parameters: int


class _Figures:
  """Trainings of one number of epochs, by row and in order."""

  def __init__(self) -> None:
    self._values = np.zeros((1024, _REPEATS, len(_FIGURES)), np.float32)
    self._counts = np.zeros(1024, np.int64)

  def add(self, row: int, training: Training) -> None:
    """Takes a training; of more than three the number alone."""
    while row >= len(self._counts):
      self._values = np.concatenate([self._values, np.zeros_like(self._values)])
      self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
    count = self._counts[row]
    if count < _REPEATS:
      self._values[row, count] = (
          training.validation, training.test, training.seconds
      )
    self._counts[row] += 1

  def complete(
      self, path: str | os.PathLike[str], epochs: int, cells: Sequence[str]
  ) -> np.ndarray:
    """Figures of all cells; UserError where one has not three trainings."""
    counts = self._counts[:len(cells)]
    wrong = np.flatnonzero(counts != _REPEATS)
    if wrong.size or len(counts) < len(cells):
      row = wrong[0] if wrong.size else len(counts)
      found = counts[row] if wrong.size else 0
      raise UserError(
          f'{path}: cell {cells[row]}: {found} trainings of {epochs} epochs;'
          f' allowed are {_REPEATS} as in the official files'
      )
    return self._values[:len(cells)]


def _described(cells: Sequence[_Cell]) -> dict[str, np.ndarray]:
  """What cells are; smaller ones lack the vertices before the last."""
  vertices = max(len(cell.operations) for cell in cells) + 2
  edges = np.zeros((len(cells), vertices, vertices), bool)
  operations = np.full((len(cells), vertices - 2), ABSENT, np.uint8)
  for row, cell in enumerate(cells):
    inner = len(cell.operations) + 1
    own = np.frombuffer(cell.edges, bool).reshape(inner + 1, inner + 1)
    edges[row, :inner, :inner] = own[:-1, :-1]
    edges[row, :inner, -1] = own[:-1, -1]
    operations[row, :inner - 1] = cell.operations
  parameters = np.array([cell.parameters for cell in cells], np.int32)
  return {'edges': edges, 'operations': operations, 'parameters': parameters}
