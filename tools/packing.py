"""Bytes of packaged archives, and digests of the CSVs that they are made of."""

import gzip
import hashlib
import io
import pathlib
import zipfile
from collections.abc import Mapping

import numpy as np

PACKAGED = (
    pathlib.Path(__file__).parent.parent / 'layernas/study/tables/packaged'
)
"""Where the package keeps its benchmark tables."""


def archive(arrays: Mapping[str, np.ndarray]) -> bytes:
  """A NumPy archive that has the same bytes whenever it is made."""
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
  """Of the CSV's content, whatever packed it."""
  data = path.read_bytes()
  if data.startswith(b'\x1f\x8b'):
    data = gzip.decompress(data)
  return hashlib.sha256(data).hexdigest()
