"""Reads any enumerated benchmark from a CSV; columns are named, not coded."""

import dataclasses
import math
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from layernas.errors import UserError
from layernas.search import Layer
from layernas.search import SearchSpace
from layernas.storage.csv_file import CsvFile
from layernas.study.tables.table import BenchmarkTable


@dataclasses.dataclass(frozen=True)
class Encoding:
  """How a CSV writes architectures.

  Attributes:
    column: that holds them.
    pattern: regular expression; its matches in a cell are the options of the
      layers in order. '.' takes every character, '[^:]+' what stands between
      colons, '[^|+~]+(?=~)' the operations of NATS-Bench's cell strings.
    options: option texts in the order of their indices, the same for all
      layers; () takes what occurs in each layer, numbers by value, else by
      text.
    default: option text that stands while a layer is undecided; '' takes the
      last one.
    layers: names; () numbers them.
  """

  column: str = 'arch'
  pattern: str = '.'
  options: tuple[str, ...] = ()
  default: str = ''
  layers: tuple[str, ...] = ()

  def __post_init__(self) -> None:
    try:
      re.compile(self.pattern)
    except re.error as error:
      raise UserError(
          f'table.pattern: {self.pattern!r}: {error}; allowed are regular'
          ' expressions'
      ) from error


def read_csv_table(
    path: str | pathlib.Path, encoding: Encoding, columns: Sequence[str]
) -> BenchmarkTable:
  """Reads a benchmark that has a row for every architecture of its space.

  Args:
    path: CSV with a header, plain or gzip.
    encoding: of the architectures.
    columns: names of the columns to read, numbers.

  Returns:
    The table; columns of whole numbers are int64, others float64.

  Raises:
    UserError: names file, line and column of what is wrong, missing, not
      finite or there twice.
  """
  file = CsvFile(path)
  rows = _options(file, encoding)
  numbers = {name: np.array(file.numbers(name)) for name in columns}
  if not rows:
    raise UserError(f'file {path}: no rows; allowed is a row per architecture')
  space = _space(file, rows, encoding)
  index = _indices(file, rows, space, encoding.column)
  return BenchmarkTable(
      pathlib.Path(path).name.partition('.')[0],
      space,
      {
          name: _placed(values, index, space)
          for name, values in numbers.items()
      },
  )


def _options(file: CsvFile, encoding: Encoding) -> list[tuple[str, ...]]:
  """Option texts of every row's architecture, all of the same number."""
  pattern = re.compile(encoding.pattern)
  rows: list[tuple[str, ...]] = []
  for row, text in enumerate(file.texts(encoding.column)):
    found = tuple(match.group() for match in pattern.finditer(text))
    if not found:
      raise UserError(
          f'{file.where(row, encoding.column)}: {text!r}: no option found;'
          f' allowed are cells in which {encoding.pattern!r} finds one for each'
          ' layer'
      )
    if rows and len(found) != len(rows[0]):
      raise UserError(
          f'{file.where(row, encoding.column)}: {len(found)} options; allowed'
          f' are {len(rows[0])} as in line {file.line_numbers[0]}'
      )
    rows.append(found)
  return rows


def _space(
    file: CsvFile, rows: list[tuple[str, ...]], encoding: Encoding
) -> SearchSpace:
  """The space of the rows, all of whose architectures must be there."""
  layers = len(rows[0])
  names = encoding.layers or tuple(f'layer{i + 1}' for i in range(layers))
  if len(names) != layers:
    raise UserError(
        f'file {file.path}, column {encoding.column!r}: {layers} options in a'
        f' cell, but table.layers names {len(names)} layers; allowed is one'
        ' name for each'
    )
  return SearchSpace(
      _layer(file, name, {row[layer] for row in rows}, encoding)
      for layer, name in enumerate(names)
  )


def _layer(
    file: CsvFile, name: str, found: set[str], encoding: Encoding
) -> Layer:
  options = encoding.options or tuple(sorted(found, key=_by_value))
  default = encoding.default or options[-1]
  if default not in options:
    raise UserError(
        f'file {file.path}: table.default: {default!r} is no option of layer'
        f' {name!r}: allowed are {list(options)}'
    )
  return Layer(name, options, options.index(default))


def _by_value(text: str) -> tuple[float, str]:
  """Sorts numbers by value and before other texts, such as 'nan'."""
  try:
    number = float(text)
  except ValueError:
    number = math.inf
  return number if math.isfinite(number) else math.inf, text


def _indices(
    file: CsvFile, rows: list[tuple[str, ...]], space: SearchSpace, column: str
) -> np.ndarray:
  """Position of each row's architecture in the flattened table."""
  known = [
      {option: index for index, option in enumerate(layer.options)}
      for layer in space.layers
  ]
  row_of: dict[tuple[int, ...], int] = {}
  for row, options in enumerate(rows):
    try:
      architecture = tuple(map(dict.__getitem__, known, options))
    except KeyError as error:
      raise UserError(
          f'{file.where(row, column)}: option {error}: allowed are'
          f' {list(space.layers[0].options)}'
      ) from error
    other = row_of.setdefault(architecture, row)
    if other != row:
      raise UserError(
          f'{file.where(row, column)}: architecture {options} is in line'
          f' {file.line_numbers[other]} already: allowed is one row for each'
      )
  _check_complete(file, set(row_of), space, column)
  return np.ravel_multi_index(np.array(list(row_of)).T, space.option_counts)


def _check_complete(
    file: CsvFile, found: set[tuple[int, ...]], space: SearchSpace, column: str
) -> None:
  missing = space.size - len(found)
  if not missing:
    return
  first = next(a for a in np.ndindex(*space.option_counts) if a not in found)
  options = tuple(space.describe(first).values())
  raise UserError(
      f'file {file.path}, column {column!r}: {missing:,} of {space.size:,}'
      f' architectures have no row, the first is {options}: allowed is a row'
      ' for each combination of the options'
  )


def _placed(
    numbers: np.ndarray, index: np.ndarray, space: SearchSpace
) -> np.ndarray:
  """A column in the order of the space."""
  values = np.empty(space.size)
  values[index] = numbers
  # Whole numbers stay exact, and their sums too.
  if (np.abs(values) < 2**53).all() and (values == np.rint(values)).all():
    values = values.astype(np.int64)
  return values.reshape(space.option_counts)
