"""The benchmark tables that come with the package.

Each is a NumPy archive of integers (a figure times a power of ten, so that the
published decimals are kept) in the order of the space's option indices, and an
entry of tables.json: its layers, columns, sources and checksum.
"""

import functools
import gzip
import hashlib
import importlib.resources
import io
import json
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.errors import UserError
from layernas.search import Layer
from layernas.search import SearchSpace
from layernas.study.tables.table import BenchmarkTable

DIRECTORY = importlib.resources.files('layernas.study.tables') / 'packaged'
"""Of the archives."""


@functools.cache
def descriptions() -> dict[str, dict[str, Any]]:
  """Content of tables.json: what each table holds and where it comes from."""
  return read_description('tables.json')


@functools.cache
def load_packaged(name: str) -> BenchmarkTable:
  """Loads a packaged table.

  Args:
    name: a key of `descriptions()`.

  Returns:
    The table.

  Raises:
    UserError: there is no such table, or its file is damaged.
  """
  tables = descriptions()
  if name not in tables:
    raise UserError(f'table.name: {name!r}: allowed are {sorted(tables)}')
  entry = tables[name]
  arrays = read_archive(name, entry['sha256'])
  space = SearchSpace(
      Layer(layer['name'], layer['options'], layer['default'])
      for layer in entry['layers']
  )
  columns = {
      column: decode(arrays[column], details['decimals']).reshape(
          space.option_counts
      )
      for column, details in entry['columns'].items()
  }
  return BenchmarkTable(name, space, columns)


def read_description(file: str) -> dict[str, Any]:
  """Content of one of the packaged JSON files."""
  return json.loads((DIRECTORY / file).read_text('utf-8'))


def read_archive(name: str, sha256: str) -> dict[str, np.ndarray]:
  """Arrays of a packaged archive.

  Args:
    name: of the table.
    sha256: of the archive, in hexadecimal digits.

  Returns:
    The arrays by name.

  Raises:
    UserError: the file is damaged.
  """
  data = (DIRECTORY / f'{name}.npz').read_bytes()
  if hashlib.sha256(data).hexdigest() != sha256:
    raise UserError(
        f'table {name!r}: {name}.npz is damaged; allowed is the file that came'
        ' with the package: install it again'
    )
  with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
    return dict(arrays)


def encode(values: np.ndarray, decimals: int) -> np.ndarray:
  """Integers that hold figures with this many decimals.

  Args:
    values: any shape.
    decimals: at most these are kept.

  Returns:
    Flat array of the smallest integer type that holds them.
  """
  whole = np.rint(np.asarray(values, np.float64).ravel() * 10**decimals)
  return whole.astype(np.result_type(*map(_smallest, (whole.min(),
                                                      whole.max()))))


def archive(arrays: Mapping[str, np.ndarray]) -> bytes:
  """A NumPy archive that has the same bytes whenever it is made.

  Args:
    arrays: by name.

  Returns:
    Content of the file.
  """
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED, True, 9) as file:
    for name, array in arrays.items():
      member = io.BytesIO()
      np.lib.format.write_array(member, array, allow_pickle=False)
      entry = zipfile.ZipInfo(f'{name}.npy', (1980, 1, 1, 0, 0, 0))
      entry.compress_type = zipfile.ZIP_DEFLATED
      file.writestr(entry, member.getvalue())
  return buffer.getvalue()


def csv_sha256(path: pathlib.Path) -> str:
  """Digest of a CSV file's content, whether gzip packed it or not."""
  data = path.read_bytes()
  if data.startswith(b'\x1f\x8b'):
    data = gzip.decompress(data)
  return hashlib.sha256(data).hexdigest()


def _smallest(value: float) -> np.dtype:
  return np.min_scalar_type(int(value))


def decode(whole: np.ndarray, decimals: int) -> np.ndarray:
  """Inverse of `encode`: one rounding, as when the decimals are read."""
  if decimals == 0:
    return whole.astype(np.int64)
  return whole / 10.0**decimals
