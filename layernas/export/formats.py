"""Writes a model in the formats of other runtimes, and checks what it wrote."""

import dataclasses
import json
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from layernas import lookup
from layernas.errors import UserError
from layernas.export import stablehlo
from layernas.export.files import open_model
from layernas.export.graph import Graph
from layernas.export.graph import make_graph
from layernas.export.jax_graph import graph_function
from layernas.export.model import FACTS
from layernas.export.model import Model
from layernas.models.network import Network
from layernas.networks.spec import NetworkSpec

INPUTS = ('float32', 'uint8')
"""Types of the images that a file may take: scaled, or bytes."""

# Images that a file is compared with the Flax module on at most.
_COMPARED = 200

# Timed passes of one image, after the first.
_TIMED = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
  """What files are made from.

  Attributes:
    model: that is exported.
    takes: one of `INPUTS`.
    graph: of inference; None where the network has none.
  """

  model: Model
  takes: str
  graph: Graph | None

  @property
  def example(self) -> jax.ShapeDtypeStruct:
    """One image."""
    size = self.model.preprocessing.size
    return jax.ShapeDtypeStruct((size, size, 3), np.dtype(self.takes))

  def function(self) -> Callable[[Any], Any]:
    """From images of the type `takes` to logits."""
    run = (
        graph_function(self.graph) if self.graph
        else _module_function(self.model)
    )
    if self.takes == 'uint8':
      return stablehlo.scaled(run, self.model.preprocessing.scaling)
    return run

  def needed_graph(self, name: str) -> Graph:
    """The graph, for formats that need one.

    Args:
      name: of the format.

    Raises:
      UserError: there is none.
    """
    if self.graph is None:
      raise UserError(
          f'export: {name}: this network has no inference graph (Flax modules'
          ' and block types without `infer` have none); allowed is stablehlo'
      )
    return self.graph


def source_of(model: Model, takes: str = 'float32') -> Source:
  """Prepares an export.

  Args:
    model: to export.
    takes: one of `INPUTS`.

  Returns:
    What the formats are made from.

  Raises:
    UserError: wrong `takes`, or the model does not classify images.
  """
  if takes not in INPUTS:
    raise UserError(f'export: input {takes!r}: allowed are {list(INPUTS)}')
  if model.preprocessing is None:
    raise UserError(
        'export: this network has a task of its own; allowed are networks that'
        ' classify images'
    )
  try:
    graph = make_graph(
        model.network, model.variables, model.preprocessing.size,
        model.config.model.batch_norm_epsilon,
    ) if isinstance(model.network, NetworkSpec) else None
  except UserError:
    graph = None
  return Source(model, takes, graph)


def _module_function(model: Model) -> Callable[[Any], Any]:
  """The module itself, with convolutions that every platform has."""
  module = model.flax
  if isinstance(module, Network):
    module = module.clone(depthwise='native')
  return lambda images: module.apply(model.variables, images, train=False)


def _stablehlo(source: Source) -> bytes:
  return stablehlo.serialized(source.function(), source.example)


def _onnx(source: Source) -> bytes:
  # Only who exports to ONNX has the package.
  module = lookup.find(
      'export', 'layernas.export.onnx_file:onnx_model', {}
  )
  scaling = source.model.preprocessing.scaling
  return module(
      source.needed_graph('onnx'),
      {'layernas': json.dumps(source.model.facts['preprocessing'])},
      scaling if source.takes == 'uint8' else None,
  ).SerializeToString()


def _tflite(source: Source) -> bytes:
  from layernas.export import litert  # noqa: PLC0415

  source.needed_graph('tflite')
  return litert.tflite_bytes(
      stablehlo.text(source.function(), source.example)
  )


FORMATS: dict[str, Callable[[Source], bytes]] = {
    'stablehlo': _stablehlo, 'onnx': _onnx, 'tflite': _tflite,
}
"""By name, which is also the ending of the file."""


def export_model(
    model: Model, formats: Sequence[str], output: epath.PathLike,
    takes: str = 'float32', images: np.ndarray | None = None,
) -> dict[str, Any]:
  """Writes files, labels.txt and check.json.

  Args:
    model: to export.
    formats: keys of `FORMATS`.
    output: directory, which is made where it does not exist.
    takes: one of `INPUTS`.
    images: uint8 ones that files are compared on with the Flax module, shape
      (n, size, size, 3); None is random ones.

  Returns:
    Content of check.json: of each format 'bytes', 'difference' to the module's
    logits at most, 'agreement' (share of images with the same class), and
    'milliseconds' of a pass of one image (median).

  Raises:
    UserError: a format is not known, or cannot hold the network.
  """
  for name in formats:
    if name not in FORMATS:
      raise UserError(
          f'export: format {name!r}: allowed are {list(FORMATS)}'
      )
  source = source_of(model, takes)
  directory = epath.Path(output)
  directory.mkdir(parents=True, exist_ok=True)
  (directory / FACTS).write_text(
      json.dumps({**model.facts, 'input': takes}, indent=2) + '\n'
  )
  (directory / 'labels.txt').write_text('\n'.join(model.class_names) + '\n')
  if images is None:
    size = model.preprocessing.size
    images = np.random.default_rng(0).integers(
        0, 256, (20, size, size, 3), np.uint8
    )
  images = images[:_COMPARED]
  wanted, found = model.logits(images), {}
  for name in formats:
    path = directory / f'model.{name}'
    path.write_bytes(FORMATS[name](source))
    found[name] = _checked(path, images, wanted)
    (directory / 'check.json').write_text(json.dumps(found, indent=2) + '\n')
  return found


def _checked(
    path: epath.Path, images: np.ndarray, wanted: np.ndarray
) -> dict[str, Any]:
  """How a file that was written compares with the module."""
  opened = open_model(path)
  logits = opened.logits(images)
  seconds = []
  for _ in range(_TIMED):
    begun = time.perf_counter()
    opened.logits(images[:1])
    seconds.append(time.perf_counter() - begun)
  return {
      'bytes': path.stat().length,
      'images': len(images),
      'difference': float(np.abs(logits - wanted).max()),
      'agreement': float(
          (logits.argmax(axis=1) == wanted.argmax(axis=1)).mean()
      ),
      'milliseconds': round(1e3 * float(np.median(seconds[1:])), 4),
  }
