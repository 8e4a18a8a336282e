"""Reads the official files of NAS-Bench-101, without TensorFlow or protobuf.

`nasbench_only108.tfrecord` holds three trainings of 108 epochs of every cell,
`nasbench_full.tfrecord` three of 4, 12 and 36 epochs as well. Each training is
a record: a JSON list of the cell's hash, the epochs, the rows of its adjacency
matrix one behind another, its operations with commas between them, and a
`ModelMetrics` message in base64. One record at a time is in memory.
"""

import base64
import binascii
import dataclasses
import functools
import json
import math
import os
import struct
from collections.abc import Callable
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from layernas.errors import UserError
from layernas.plain import is_integer
from layernas.study.tables.nasbench101_cells import OPERATIONS

_ALLOWED = (
    'an official file, nasbench_only108.tfrecord or nasbench_full.tfrecord'
)

_MAX_RECORD = 1 << 20
"""Bytes; the official records have some hundred. A damaged length has more."""


@dataclasses.dataclass(frozen=True, eq=False)
class Training:
  """One training of a cell.

  Attributes:
    cell: the benchmark's hash of it.
    epochs: that it was trained for.
    edges: bool, shape (vertices, vertices), upper triangular.
    operations: of the vertices between input and output, indices of
      `OPERATIONS`.
    parameters: number of them that are trained.
    seconds: of the training.
    validation: accuracy after it, from 0 to 1.
    test: likewise.
  """

  cell: str
  epochs: int
  edges: np.ndarray
  operations: tuple[int, ...]
  parameters: int
  seconds: float
  validation: float
  test: float


def read_trainings(
    path: str | os.PathLike[str], progress: Callable[[int], None]
) -> Iterator[Training]:
  """Reads an official file.

  Args:
    path: of the file.
    progress: told how many bytes have been read, after every training.

  Yields:
    Its trainings, in order.

  Raises:
    UserError: the file cannot be read, or a record is damaged; says which.
  """
  number = 1
  try:
    with open(path, 'rb') as file:
      while data := _next_record(file):
        yield _training(data)
        progress(file.tell())
        number += 1
  except OSError as error:
    raise UserError(
        f'{path}: {error.strerror}; allowed is {_ALLOWED}'
    ) from error
  except ValueError as error:
    raise UserError(
        f'{path}, record {number}: {error}; allowed is {_ALLOWED}'
    ) from error


def _next_record(file: BinaryIO) -> bytes:
  """Content of the next record of a TFRecord file, checked; b'' at its end.

  It has its length and that number's checksum before it, 12 bytes, and its own
  checksum behind it, 4 bytes.
  """
  head = file.read(12)
  if not head:
    return b''
  if len(head) < 12:
    raise ValueError('the file ends in it')
  length, checksum = struct.unpack('<QI', head)
  if _masked_crc(head[:8]) != checksum or not 0 < length <= _MAX_RECORD:
    raise ValueError('its length is damaged')
  body = file.read(length + 4)
  if len(body) < length + 4:
    raise ValueError('the file ends in it')
  data = body[:length]
  if _masked_crc(data) != struct.unpack('<I', body[length:])[0]:
    raise ValueError('its checksum is wrong')
  return data


@functools.cache
def _crc_table() -> tuple[int, ...]:
  """CRC-32C of each byte, reflected (RFC 3720, appendix B.4)."""
  table = []
  for byte in range(256):
    crc = byte
    for _ in range(8):
      crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    table.append(crc)
  return tuple(table)


def _masked_crc(data: bytes) -> int:
  """CRC-32C, turned and shifted as TFRecord files have it."""
  table = _crc_table()
  crc = 0xFFFFFFFF
  for byte in data:
    crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
  crc ^= 0xFFFFFFFF
  return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _training(data: bytes) -> Training:
  """A training of its record; ValueError says what is wrong."""
  values = json.loads(data)
  texts = values[:1] + values[2:] if isinstance(values, list) else []
  if len(texts) != 4 or not all(isinstance(one, str) for one in texts):
    raise ValueError('is no list of a hash, epochs and three texts')
  cell, epochs, adjacency, names, metrics = values
  if not is_integer(epochs) or epochs < 1:
    raise ValueError(f'epochs {epochs!r} are no positive integer')
  edges = _edges(adjacency)
  operations = _operations(names)
  if len(operations) + 2 != len(edges):
    raise ValueError(
        f'has {len(edges)} vertices and {len(operations) + 2} operations'
    )
  return Training(cell, epochs, edges, operations, *_metrics(metrics))


def _edges(adjacency: str) -> np.ndarray:
  vertices = math.isqrt(len(adjacency))
  if vertices < 2 or vertices**2 != len(adjacency) or set(adjacency) > {*'01'}:
    raise ValueError(f'adjacency {adjacency!r} is no square of 0 and 1')
  edges = np.array([one == '1' for one in adjacency])
  edges = edges.reshape(vertices, vertices)
  if np.tril(edges).any():
    raise ValueError(f'adjacency {adjacency!r} is not upper triangular')
  if not (edges[:-1].any(1).all() and edges[:, 1:].any(0).all()):
    raise ValueError(f'adjacency {adjacency!r} has a vertex that leads nowhere')
  return edges


def _operations(names: str) -> tuple[int, ...]:
  first, *inner, last = names.split(',') if ',' in names else ('', '')
  if first != 'input' or last != 'output' or not set(inner) <= {*OPERATIONS}:
    raise ValueError(
        f'operations {names!r} are not input, some of {OPERATIONS} and output'
    )
  return tuple(map(OPERATIONS.index, inner))


def _metrics(text: str) -> tuple[int, float, float, float]:
  """Parameters, seconds, validation and test accuracy of a `ModelMetrics`.

  Its first three fields are evaluations (1: before, halfway and at the end of
  the training), the parameters (2) and the seconds of everything (3); those of
  an evaluation epoch (1), seconds (2), and accuracies on some training (3),
  the validation (4) and the test images (5).
  """
  try:
    message = base64.b64decode(text, validate=True)
  except binascii.Error as error:
    raise ValueError(f'its metrics are not base64: {error}') from error
  evaluations, parameters = [], 0
  for number, value in _fields(message):
    if number == 1 and isinstance(value, bytes):
      evaluations.append(dict(_fields(value)))
    elif number == 2 and isinstance(value, int):
      parameters = value
  if len(evaluations) != 3 or parameters < 1:
    raise ValueError(
        f'its metrics have {len(evaluations)} evaluations and {parameters}'
        ' parameters, not 3 and a number above zero'
    )
  figures = tuple(evaluations[-1].get(number) for number in (2, 4, 5))
  if not all(
      isinstance(one, float) and 0 <= one < math.inf for one in figures
  ) or max(figures[1:]) > 1:
    raise ValueError(
        f'its seconds and accuracies are {figures}, not a number of zero or'
        ' more and two from 0 to 1'
    )
  return parameters, *figures


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
  """Numbers and values of the fields of a protobuf message.

  See protobuf.dev/programming-guides/encoding: a key is the field's number and
  the wire type of what follows. 0 is an integer, 1 a double, 2 bytes behind
  their length, 5 a float.
  """
  place = 0
  try:
    while place < len(message):
      key, place = _varint(message, place)
      kind = key & 7
      if kind == 0:
        value, place = _varint(message, place)
      elif kind in _FIXED:
        value = _FIXED[kind].unpack_from(message, place)[0]
        place += _FIXED[kind].size
      elif kind == 2:
        length, place = _varint(message, place)
        value = message[place:place + length]
        place += length
      else:
        raise ValueError(f'its metrics have a field of wire type {kind}')
      if place > len(message):
        raise IndexError(place)
      yield key >> 3, value
  except (IndexError, struct.error) as error:
    raise ValueError('its metrics end in a field') from error


_FIXED = {1: struct.Struct('<d'), 5: struct.Struct('<f')}
"""Fields of fixed size, by wire type."""


def _varint(message: bytes, place: int) -> tuple[int, int]:
  """An integer of seven bits a byte, and the place behind it."""
  value = shift = 0
  while True:
    byte = message[place]
    value |= (byte & 0x7F) << shift
    place += 1
    shift += 7
    if byte < 0x80:
      return value, place
