"""Cells of NAS-Bench-101, and a layerwise space over them.

A cell is a directed acyclic graph: vertex 0 is its input, the last one its
output, and each vertex between them has one of `OPERATIONS`. The benchmark has
every cell of up to seven vertices and nine edges once, whatever the order of
its vertices; `keys` gives equal numbers to cells that differ in nothing else.

`CellSpace` makes a cell vertex by vertex. A vertex without an edge from the
input, or from a vertex that has one, is absent. Whatever leads nowhere leads to
the output. So every choice of options is a cell, each cell of the benchmark has
at least one such choice, and to turn an edge on never takes one away: what has
too many edges before all layers are decided has too many in the end.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from layernas.search import Architecture
from layernas.search import Layer
from layernas.search import SearchSpace

OPERATIONS = ('conv3x3-bn-relu', 'conv1x1-bn-relu', 'maxpool3x3')
"""Of the vertices, as the official file names them."""

ABSENT = len(OPERATIONS)
"""Number of the operation of a vertex that is not there."""


# Cells whose keys are worked out together, so that arrays stay small.
_AT_A_TIME = 1 << 14


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
  """Some cells of at most V vertices each.

  Attributes:
    edges: bool, shape (cells, V, V); entry (i, j) is the edge from vertex i to
      vertex j, and i < j. Vertices that are not there have none.
    operations: of the vertices between input and output, indices of
      `OPERATIONS` or `ABSENT`, shape (cells, V - 2).
  """

  edges: np.ndarray
  operations: np.ndarray

  def __len__(self) -> int:
    return len(self.edges)

  @property
  def edge_counts(self) -> np.ndarray:
    """Number of edges, shape (cells,)."""
    return self.edges.sum((1, 2))

  def keys(self) -> np.ndarray:
    """Numbers that are equal for isomorphic cells, and for these alone.

    Each vertex has a colour, at first its operation, and takes on those of its
    predecessors and of its successors as often as there are vertices. That two
    cells of up to seven vertices differ where their colours do is what the
    benchmark's own hash rests on, too.

    Returns:
      uint64, shape (cells,).
    """
    parts = [
        Cells(
            self.edges[first:first + _AT_A_TIME],
            self.operations[first:first + _AT_A_TIME],
        )._keys()
        for first in range(0, max(len(self), 1), _AT_A_TIME)
    ]
    return np.concatenate(parts)

  def _keys(self) -> np.ndarray:
    count, vertices = self.edges.shape[:2]
    colours = np.full((count, vertices), ABSENT + 1, np.uint64)
    colours[:, 1:-1] = self.operations
    colours[:, -1] += np.uint64(1)
    forward = self.edges.astype(np.uint64)
    backward = forward.transpose(0, 2, 1)
    for _ in range(vertices):
      mixed = _mixed(colours)[:, :, None]
      colours = _mixed(
          colours + _mixed(backward @ mixed + _BEFORE)[:, :, 0]
          + _mixed(forward @ mixed + _AFTER)[:, :, 0]
      )
    return _mixed(colours).sum(1, dtype=np.uint64)


_BEFORE, _AFTER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
"""Tell what comes before a vertex from what comes after it."""


def _mixed(values: np.ndarray) -> np.ndarray:
  """Well mixed 64-bit numbers (SplitMix64 finaliser, Steele 2014)."""
  values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
  values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
  return values ^ (values >> np.uint64(31))


class CellSpace(SearchSpace):
  """Layers that make a cell: of each vertex its incoming edges and operation.

  The layers of vertex 1 are `0->1` and `operation 1`, those of vertex 2 `0->2`,
  `1->2` and `operation 2`, and so on. Last come the edges to the output beside
  those from vertices that lead nowhere else. All edges are off by default, so
  that a prefix is a smaller cell.

  Attributes:
    vertices: of the largest cell, input and output among them.
  """

  def __init__(self, vertices: int):
    """Names the layers.

    Args:
      vertices: of the largest cell, at least 3.
    """
    self.vertices = vertices
    layers = []
    for vertex in range(1, vertices - 1):
      layers += [
          Layer(f'{source}->{vertex}', ('off', 'on'))
          for source in range(vertex)
      ]
      layers.append(Layer(f'operation {vertex}', OPERATIONS))
    # The last vertex leads to the output, or is absent.
    layers += [
        Layer(f'{source}->output', ('off', 'on'))
        for source in range(vertices - 2)
    ]
    super().__init__(layers)

  def cells(self, architectures: np.ndarray) -> Cells:
    """Makes the cells of some architectures.

    Args:
      architectures: option indices, shape (n, layers).

    Returns:
      The cells; some may have more edges than the benchmark allows.
    """
    count, vertices = len(architectures), self.vertices
    edges = np.zeros((count, vertices, vertices), bool)
    operations = np.full((count, vertices - 2), ABSENT)
    there = np.ones((count, vertices - 1), bool)
    layer = 0
    for vertex in range(1, vertices - 1):
      chosen = architectures[:, layer:layer + vertex] > 0
      edges[:, :vertex, vertex] = chosen & there[:, :vertex]
      there[:, vertex] = edges[:, :vertex, vertex].any(1)
      layer += vertex
      operations[:, vertex - 1] = np.where(
          there[:, vertex], architectures[:, layer], ABSENT
      )
      layer += 1
    chosen = architectures[:, layer:] > 0
    leads_nowhere = ~edges[:, :-1].any(2)
    leads_nowhere[:, :-1] |= chosen
    edges[:, :-1, -1] = leads_nowhere & there
    return Cells(edges, operations)

  def architecture(self, cells: Cells) -> Architecture:
    """An architecture of a cell.

    Args:
      cells: a single one, without vertices that lead nowhere.

    Returns:
      Option indices by which `cells` makes it again.
    """
    edges, operations = cells.edges[0], cells.operations[0] % ABSENT
    options = []
    for vertex in range(1, self.vertices - 1):
      options += edges[:vertex, vertex].tolist() + [operations[vertex - 1]]
    options += edges[:self.vertices - 2, -1].tolist()
    return tuple(map(int, options))

  def fewest_edges(
      self, architectures: np.ndarray, decided: Iterable[int]
  ) -> np.ndarray:
    """Fewest edges that some prefixes can still end with.

    Args:
      architectures: option indices, shape (n, layers), of which those of the
        decided layers count.
      decided: indices of layers.

    Returns:
      Shape (n,).
    """
    least = np.array(architectures)
    least[:, sorted(set(range(len(self))) - set(decided))] = 0
    return self.cells(least).edge_counts
