"""CSV files that users bring: what is wrong is named by line and column."""

import csv
import gzip
import io
import math
import os
import zlib

from etils import epath

from layernas.errors import UserError
from layernas.storage.files import file_store

_OTHER_SEPARATORS = {
    'semicolons': ';', 'tabs': '\t', 'vertical bars': '|',
}


class CsvFile:
  """A CSV file with a header, read whole.

  Attributes:
    path: of the file, for messages.
    header: names of the columns.
    line_numbers: of the rows; those without any text are none.
  """

  def __init__(self, path: str | os.PathLike[str]):
    """Reads a file.

    Args:
      path: of a CSV in UTF-8, plain or gzip (told by its first bytes).

    Raises:
      UserError: it cannot be read, or a row has not as many cells as the
        header.
    """
    self.path = str(path)
    self.line_numbers: list[int] = []
    self._rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(self._text(), newline=''), strict=True)
    try:
      self.header = [name.strip() for name in next(reader, [])]
      self._check_separator()
      for cells in reader:
        # Spreadsheets write empty rows as commas alone.
        if any(map(str.strip, cells)):
          self._add(reader.line_num, cells)
    except csv.Error as error:
      raise UserError(
          f'file {self.path}, line {reader.line_num}: {error}; allowed is a CSV'
      ) from error

  def __len__(self) -> int:
    return len(self._rows)

  def texts(self, column: str) -> list[str]:
    """Cells of a column without spaces around them.

    Args:
      column: its name.

    Returns:
      One for each row.

    Raises:
      UserError: the header has not exactly one such column.
    """
    if self.header.count(column) != 1:
      raise UserError(
          f'file {self.path}, line 1, column {column!r}: it is there'
          f' {self.header.count(column)} times among {self.header}; allowed is'
          ' once'
      )
    position = self.header.index(column)
    return [cells[position].strip() for cells in self._rows]

  def keys(self, column: str) -> list[str]:
    """Cells of a column whose rows they name: none empty, none twice.

    Args:
      column: its name.

    Returns:
      One for each row.

    Raises:
      UserError: as said.
    """
    first: dict[str, int] = {}
    texts = self.texts(column)
    for row, text in enumerate(texts):
      if not text:
        raise UserError(
            f'{self.where(row, column)}: empty; allowed is a value in every row'
        )
      other = first.setdefault(text, row)
      if other != row:
        raise UserError(
            f'{self.where(row, column)}: {text!r} is in line'
            f' {self.line_numbers[other]} already; allowed is one row for each'
        )
    return texts

  def numbers(self, column: str, least: float = -math.inf) -> list[float]:
    """Cells of a column as numbers.

    Args:
      column: its name.
      least: smallest allowed number.

    Returns:
      One for each row.

    Raises:
      UserError: a cell is no finite number, or too small.
    """
    return [
        self._number(row, column, text, least)
        for row, text in enumerate(self.texts(column))
    ]

  def where(self, row: int, column: str) -> str:
    """Names a cell for a message."""
    return f'file {self.path}, line {self.line_numbers[row]}, column {column!r}'

  def _text(self) -> str:
    path = epath.Path(self.path)
    file_store(path).check(path)
    try:
      data = path.read_bytes()
      if data.startswith(b'\x1f\x8b'):
        data = gzip.decompress(data)
      # Spreadsheets write a byte order mark, which utf-8-sig drops.
      return data.decode('utf-8-sig')
    except (OSError, EOFError, ValueError, zlib.error) as error:
      raise UserError(
          f'file {self.path}: {error}; allowed is a readable CSV in UTF-8,'
          ' plain or gzip'
      ) from error

  def _check_separator(self) -> None:
    """Raises UserError where the header is none of commas."""
    for name, mark in _OTHER_SEPARATORS.items():
      if len(self.header) == 1 and mark in self.header[0]:
        raise UserError(
            f'file {self.path}, line 1: its columns are separated by {name}'
            f' ({mark!r}); allowed are commas, and numbers with a decimal point'
        )

  def _add(self, line: int, cells: list[str]) -> None:
    if len(cells) != len(self.header):
      raise UserError(
          f'file {self.path}, line {line}: {len(cells)} columns; allowed are'
          f' {len(self.header)} as in the header'
      )
    self.line_numbers.append(line)
    self._rows.append(cells)

  def _number(
      self, row: int, column: str, text: str, least: float
  ) -> float:
    try:
      number = float(text)
    except ValueError:
      number = math.nan
    if not (math.isfinite(number) and number >= least):
      limit = '' if math.isinf(least) else f' >= {least:g}'
      raise UserError(
          f'{self.where(row, column)}: {text!r}; allowed are finite'
          f' numbers{limit}'
      )
    return number
