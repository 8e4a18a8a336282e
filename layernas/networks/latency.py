"""Latency of networks as the sum of their modules' latencies, from a table.

The table is a CSV file with a row per module signature (`networks.signature`):
one that experiments/latency.py measured, or one that the user brings.
"""

import csv
import gzip
import math
import os
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TextIO

from layernas.errors import UserError
from layernas.networks.signature import PlacedModule
from layernas.networks.signature import place
from layernas.networks.space import NetworkSpace
from layernas.search.cost import FactoredCost

METRIC = 'latency'
"""The cost metric whose prices come from a table."""

COMMAND = 'python experiments/latency.py --config=CONFIG --workdir=DIR'
"""Measures a table."""

KEY = 'signature'
VALUE = 'milliseconds'


def read_latency_table(path: str | os.PathLike[str]) -> dict[str, float]:
  """Reads a latency table.

  Args:
    path: of a CSV file, plain or .gz, with a header and the columns
      `signature` and `milliseconds`; further columns are ignored.

  Returns:
    Signature to milliseconds.

  Raises:
    UserError: the file or a cell is wrong; the message names file, line and
      column.
  """
  rows = read_numbers(path, KEY, (VALUE,))
  return {signature: value for signature, (value,) in rows.items()}


def read_numbers(
    path: str | os.PathLike[str], key: str, columns: Sequence[str]
) -> dict[str, tuple[float, ...]]:
  """Reads columns of numbers, by the texts in a key column.

  Args:
    path: of a CSV file with a header, plain or .gz.
    key: column whose texts are unique.
    columns: of finite numbers >= 0.

  Returns:
    Text of the key to its numbers, in the order of the file.

  Raises:
    UserError: names file, line and column.
  """
  try:
    with _open(path) as file:
      return _read_rows(csv.reader(file), str(path), key, columns)
  except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
    raise UserError(
        f'file {path}: {error}; allowed is a readable CSV file with the columns'
        f' {[key, *columns]}'
    ) from error


def space_modules(
    space: NetworkSpace, image_size: int, num_classes: int
) -> list[PlacedModule]:
  """The distinct modules that the networks of a space are made of.

  They are enumerated module by module over the layers that touch it, as the
  factors of a cost are; not network by network.

  Args:
    space: of the networks.
    image_size: side of the images in pixels.
    num_classes: width of the classifier.

  Returns:
    One for each signature, in forward order.
  """
  placed = (
      place(module, filters, size, num_classes)
      for module, filters, size in space.modules(image_size)
  )
  return list({one.signature: one for one in placed}.values())


def latency_cost(
    space: NetworkSpace, table: Mapping[str, float], image_size: int,
    num_classes: int, source: str = 'latency table',
) -> FactoredCost:
  """Cost model: milliseconds of a network as the sum over its modules.

  Args:
    space: of the networks.
    table: signature to milliseconds.
    image_size: side of the images in pixels.
    num_classes: width of the classifier.
    source: of the table, for messages.

  Returns:
    One factor per module.

  Raises:
    UserError: the table lacks modules of the space, or the images are too
      small for the strides.
  """
  modules = space_modules(space, image_size, num_classes)
  missing = [m.signature for m in modules if m.signature not in table]
  if missing:
    raise UserError(
        f'cost.latency_table: {source} lacks {len(missing)} of the'
        f' {len(modules)} modules of the space on images of {image_size} pixels'
        f' with {num_classes} classes; the first is {missing[0]!r}; allowed is'
        f' a table with all of them, such as {COMMAND} measures with the same'
        ' config'
    )
  return space.priced(
      METRIC, 'ms', image_size,
      lambda module, filters, size: table[
          place(module, filters, size, num_classes).signature
      ],
  )


def _open(path: str | os.PathLike[str]) -> TextIO:
  # Spreadsheets write a byte order mark, which utf-8-sig drops.
  opened = gzip.open if str(path).endswith('.gz') else open
  return opened(path, 'rt', encoding='utf-8-sig', newline='')


def _read_rows(
    reader: Iterator[list[str]], path: str, key: str, columns: Sequence[str]
) -> dict[str, tuple[float, ...]]:
  header = [name.strip() for name in next(reader, [])]
  indices = {name: _index(header, name, path) for name in (key, *columns)}
  rows: dict[str, tuple[float, ...]] = {}
  lines: dict[str, int] = {}
  for cells in reader:
    if not cells:
      continue
    where = f'file {path}, line {reader.line_num}'
    texts = {
        name: _text(cells, index, f'{where}, column {name!r}')
        for name, index in indices.items()
    }
    if texts[key] in lines:
      raise UserError(
          f'{where}, column {key!r}: {texts[key]!r} stands in line'
          f' {lines[texts[key]]} already; allowed is one row for each'
      )
    lines[texts[key]] = reader.line_num
    rows[texts[key]] = tuple(
        _number(texts[name], f'{where}, column {name!r}') for name in columns
    )
  return rows


def _index(header: list[str], name: str, path: str) -> int:
  if header.count(name) != 1:
    raise UserError(
        f'file {path}, line 1, column {name!r}: occurs {header.count(name)}'
        f' times among {header}; allowed is once'
    )
  return header.index(name)


def _text(cells: list[str], index: int, where: str) -> str:
  text = cells[index].strip() if index < len(cells) else ''
  if not text:
    raise UserError(f'{where}: empty; allowed is a value in every row')
  return text


def _number(text: str, where: str) -> float:
  try:
    number = float(text)
  except ValueError:
    number = math.nan
  if not 0 <= number < math.inf:
    raise UserError(f'{where}: {text!r}; allowed is a finite number >= 0')
  return number
