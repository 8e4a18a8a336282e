"""Official files of NAS-Bench-101 in small: records, messages and frames.

Everything is written here by the formats' definitions, and read by the code
under test.
"""

import base64
import itertools
import json
import pathlib
import struct
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np

NAMES = ('conv3x3-bn-relu', 'conv1x1-bn-relu', 'maxpool3x3')


def checksum(data: bytes) -> int:
  """CRC-32C bit by bit, masked as in TFRecord files."""
  crc = 0xFFFFFFFF
  for byte in data:
    crc ^= byte
    for _ in range(8):
      crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
  crc ^= 0xFFFFFFFF
  return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def framed(data: bytes) -> bytes:
  """A record of a TFRecord file."""
  length = struct.pack('<Q', len(data))
  return b''.join((
      length, struct.pack('<I', checksum(length)),
      data, struct.pack('<I', checksum(data)),
  ))


def varint(value: int) -> bytes:
  """Seven bits a byte, the lowest first."""
  data = b''
  while value > 0x7F:
    data += bytes((value & 0x7F | 0x80,))
    value >>= 7
  return data + bytes((value,))


def evaluation(*figures: float, path: bytes = b'model.ckpt-1') -> bytes:
  """An `EvaluationData`: doubles from field 1 on, and a text in field 6."""
  doubles = b''.join(
      varint(number << 3 | 1) + struct.pack('<d', figure)
      for number, figure in enumerate(figures, 1)
  )
  return doubles + varint(6 << 3 | 2) + varint(len(path)) + path


def metrics(parameters: int, *evaluations: bytes) -> str:
  """A `ModelMetrics` in base64."""
  data = b''.join(b'\n' + varint(len(each)) + each for each in evaluations)
  data += varint(2 << 3) + varint(parameters)
  data += varint(3 << 3 | 1) + struct.pack('<d', 2e4)
  return base64.b64encode(data).decode()


def record(
    cell: str, edges: np.ndarray, operations: Sequence[int],
    figures: tuple[int, float, float, float], epochs: int = 108,
) -> list[Any]:
  """A training, as the list that its record holds.

  Args:
    cell: hash.
    edges: of the cell.
    operations: of its inner vertices.
    figures: parameters, validation and test accuracy, seconds.
    epochs: of the training.

  Returns:
    What JSON holds.
  """
  parameters, validation, test, seconds = figures
  names = ('input', *(NAMES[one] for one in operations), 'output')
  return [
      cell, epochs, ''.join(map(str, np.asarray(edges, int).ravel())),
      ','.join(names),
      metrics(
          parameters, evaluation(0.0, 0.0, 0.1, 0.1, 0.1),
          evaluation(epochs / 2, seconds / 2, 0.5, 0.5, 0.5),
          evaluation(epochs, seconds, 1.0, validation, test),
      ),
  ]


def write(path: pathlib.Path, records: Iterable[Any]) -> pathlib.Path:
  """Writes an official file."""
  path.write_bytes(b''.join(
      framed(json.dumps(each).encode()) for each in records
  ))
  return path


def all_graphs(vertices: int, most: int) -> np.ndarray:
  """Of every cell of just so many vertices and at most so many edges."""
  pairs = [(i, j) for j in range(vertices) for i in range(j)]
  bits = np.arange(1 << len(pairs))[:, None] >> np.arange(len(pairs)) & 1
  bits = bits[bits.sum(1) <= most]
  edges = np.zeros((len(bits), vertices, vertices), bool)
  edges[:, *np.transpose(pairs)] = bits
  whole = edges[:, :-1].any(2).all(1) & edges[:, :, 1:].any(1).all(1)
  return edges[whole]


def canonical(edges: np.ndarray, operations: Sequence[int]) -> bytes:
  """Equal for isomorphic cells alone: the least of all orders of vertices."""
  inner = range(1, len(edges) - 1)
  forms = []
  for order in itertools.permutations(inner):
    places = [0, *order, len(edges) - 1]
    permuted = edges[np.ix_(places, places)]
    named = bytes(operations[one - 1] for one in order)
    forms.append(named + permuted.tobytes())
  return min(forms)


def all_cells(
    vertices: int, most: int
) -> Iterator[tuple[np.ndarray, tuple[int, ...]]]:
  """One of all isomorphic cells of up to so many vertices and edges."""
  known = set()
  for count in range(2, vertices + 1):
    for edges in all_graphs(count, most):
      for operations in itertools.product(range(3), repeat=count - 2):
        form = canonical(edges, operations)
        if form not in known:
          known.add(form)
          yield edges, operations
