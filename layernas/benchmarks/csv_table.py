"""Reads any enumerated benchmark from a CSV; columns are named, not coded."""

import csv
import dataclasses
import gzip
import io
import math
import pathlib
import re
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np

from layernas.benchmarks.table import BenchmarkTable
from layernas.errors import UserError
from layernas.search import Layer
from layernas.search import SearchSpace


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


@dataclasses.dataclass(frozen=True)
class _Row:
  line: int
  options: tuple[str, ...]
  cells: list[str]


def read_csv_table(
    path: str | pathlib.Path, encoding: Encoding, columns: Sequence[str]
) -> BenchmarkTable:
  """Reads a benchmark that has a row for every architecture of its space.

  Args:
    path: CSV with a header, plain or gzip (by its first bytes).
    encoding: of the architectures.
    columns: names of the columns to read, numbers.

  Returns:
    The table; columns of whole numbers are int64, others float64.

  Raises:
    UserError: names file, line and column of what is wrong, missing, not
      finite or there twice.
  """
  where = str(path)
  lines = _lines(where)
  header = _header(where, lines, [encoding.column, *columns])
  positions = {name: header.index(name) for name in columns}
  rows = list(_rows(where, lines, header, encoding))
  if not rows:
    raise UserError(f'file {where}: no rows; allowed is a row per architecture')
  space = _space(where, rows, encoding)
  index = _indices(where, rows, space, encoding.column)
  return BenchmarkTable(
      pathlib.Path(path).name.partition('.')[0],
      space,
      {
          name: _column(where, rows, name, position, index, space)
          for name, position in positions.items()
      },
  )


def _lines(where: str) -> Iterator[tuple[int, list[str]]]:
  """Line numbers and cells of the lines that are not empty."""
  try:
    data = pathlib.Path(where).read_bytes()
    if data.startswith(b'\x1f\x8b'):
      data = gzip.decompress(data)
    text = data.decode('utf-8-sig')
  except (OSError, EOFError, ValueError, gzip.zlib.error) as error:
    raise UserError(
        f'file {where}: {error}; allowed is a CSV in UTF-8, plain or gzip'
    ) from error
  reader = csv.reader(io.StringIO(text, newline=''), strict=True)
  try:
    for cells in reader:
      if cells:
        yield reader.line_num, cells
  except csv.Error as error:
    raise UserError(
        f'file {where}, line {reader.line_num}: {error}; allowed is a CSV'
    ) from error


def _header(
    where: str, lines: Iterator[tuple[int, list[str]]], wanted: Sequence[str]
) -> list[str]:
  _, header = next(lines, (1, []))
  for name in wanted:
    if header.count(name) != 1:
      raise UserError(
          f'file {where}, line 1: column {name!r} is there'
          f' {header.count(name)} times: allowed is once; the columns are'
          f' {header}'
      )
  return header


def _rows(
    where: str, lines: Iterator[tuple[int, list[str]]], header: list[str],
    encoding: Encoding,
) -> Iterator[_Row]:
  pattern = re.compile(encoding.pattern)
  position = header.index(encoding.column)
  for line, cells in lines:
    if len(cells) != len(header):
      raise UserError(
          f'file {where}, line {line}: {len(cells)} columns; allowed are'
          f' {len(header)} as in the header'
      )
    matches = pattern.finditer(cells[position])
    options = tuple(match.group() for match in matches)
    if not options:
      raise UserError(
          f'file {where}, line {line}, column {encoding.column!r}:'
          f' {cells[position]!r}: no option found; allowed are cells in which'
          f' {encoding.pattern!r} finds one for each layer'
      )
    yield _Row(line, options, cells)


def _space(
    where: str, rows: list[_Row], encoding: Encoding
) -> SearchSpace:
  """The space of the rows, all of whose architectures must be there."""
  layers = len(rows[0].options)
  for row in rows:
    if len(row.options) != layers:
      raise UserError(
          f'file {where}, line {row.line}, column {encoding.column!r}:'
          f' {len(row.options)} options; allowed are {layers} as in line'
          f' {rows[0].line}'
      )
  names = encoding.layers or tuple(f'layer{i + 1}' for i in range(layers))
  if len(names) != layers:
    raise UserError(
        f'file {where}, column {encoding.column!r}: {layers} options in a'
        f' cell, but table.layers names {len(names)} layers; allowed is one'
        ' name for each'
    )
  return SearchSpace(
      _layer(where, name, [row.options[layer] for row in rows], encoding)
      for layer, name in enumerate(names)
  )


def _layer(
    where: str, name: str, found: list[str], encoding: Encoding
) -> Layer:
  options = encoding.options or tuple(sorted(set(found), key=_by_value))
  default = encoding.default or options[-1]
  if default not in options:
    raise UserError(
        f'file {where}: table.default: {default!r} is no option of layer'
        f' {name!r}: allowed are {list(options)}'
    )
  return Layer(name, options, options.index(default))


def _by_value(text: str) -> tuple[float, str]:
  """Sorts numbers by value and before other texts."""
  try:
    return float(text), text
  except ValueError:
    return math.inf, text


def _indices(
    where: str, rows: list[_Row], space: SearchSpace, column: str
) -> np.ndarray:
  """Position of each row's architecture in the flattened table."""
  known = [
      {option: index for index, option in enumerate(layer.options)}
      for layer in space.layers
  ]
  line_of: dict[tuple[int, ...], int] = {}
  for row in rows:
    try:
      architecture = tuple(map(dict.__getitem__, known, row.options))
    except KeyError as error:
      raise UserError(
          f'file {where}, line {row.line}, column {column!r}: option {error}:'
          f' allowed are {list(space.layers[0].options)}'
      ) from error
    other = line_of.setdefault(architecture, row.line)
    if other != row.line:
      raise UserError(
          f'file {where}, line {row.line}, column {column!r}: architecture'
          f' {row.options} is in line {other} already: allowed is one row for'
          ' each'
      )
  _check_complete(where, set(line_of), space, column)
  return np.ravel_multi_index(np.array(list(line_of)).T, space.option_counts)


def _check_complete(
    where: str, found: set[tuple[int, ...]], space: SearchSpace, column: str
) -> None:
  missing = space.size - len(found)
  if not missing:
    return
  first = next(a for a in np.ndindex(*space.option_counts) if a not in found)
  options = tuple(space.describe(first).values())
  raise UserError(
      f'file {where}, column {column!r}: {missing:,} of {space.size:,}'
      f' architectures have no row, the first is {options}: allowed is a row'
      ' for each combination of the options'
  )


def _column(
    where: str, rows: list[_Row], name: str, position: int,
    index: np.ndarray, space: SearchSpace,
) -> np.ndarray:
  values = np.empty(space.size)
  for row, target in zip(rows, index.tolist(), strict=True):
    values[target] = _number(where, row.line, name, row.cells[position])
  # Whole numbers stay exact, and their sums too.
  if (np.abs(values) < 2**53).all() and (values == np.rint(values)).all():
    values = values.astype(np.int64)
  return values.reshape(space.option_counts)


def _number(where: str, line: int, name: str, text: str) -> float:
  try:
    value = float(text)
  except ValueError:
    value = math.nan
  if not math.isfinite(value):
    raise UserError(
        f'file {where}, line {line}, column {name!r}: {text!r}: allowed are'
        ' finite numbers'
    )
  return value
