"""Writes a model in the formats of other runtimes, and checks what it wrote."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from layernas import activity
from layernas import lookup
from layernas.errors import UserError
from layernas.errors import not_installed
from layernas.export import litert
from layernas.export import stablehlo
from layernas.export.files import open_model
from layernas.export.graph import Graph
from layernas.export.graph import make_graph
from layernas.export.jax_graph import graph_function
from layernas.export.model import FACTS
from layernas.export.model import Classifier
from layernas.export.model import Model
from layernas.models.network import Network
from layernas.networks.spec import NetworkSpec

INPUTS = ('float32', 'uint8')
"""Types of the images that an exported file may take: scaled, or bytes."""

# Timed passes of one image, after the first.
_TIMED = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
  """The images that exported files are measured with.

  Attributes:
    test: uint8, shape (n, size, size, 3).
    labels: labels of the test images, shape (n,); None if they have none.
    training: uint8, shape (m, size, size, 3), the images that integers are
      fitted to.
  """

  test: np.ndarray
  labels: np.ndarray | None = None
  training: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
  """The model and images from which files are made.

  Attributes:
    model: model to export.
    takes: type of the file's images, one of `INPUTS`.
    graph: inference graph; None if the network has none.
    training: images to fit integers to; None if there are none.
  """

  model: Model
  takes: str
  graph: Graph | None
  training: np.ndarray | None = None

  @property
  def example(self) -> jax.ShapeDtypeStruct:
    """Shape and type of one image."""
    size = self.model.preprocessing.size
    return jax.ShapeDtypeStruct((size, size, 3), np.dtype(self.takes))

  def function(self) -> Callable[[Any], Any]:
    """A function from images of the type `takes` to logits."""
    run = (
        graph_function(self.graph) if self.graph
        else _module_function(self.model)
    )
    if self.takes == 'uint8':
      return stablehlo.scaled(run, self.model.preprocessing.scaling)
    return run

  def needed_graph(self, name: str) -> Graph:
    """The inference graph, for formats that need one.

    Args:
      name: name of the format.

    Raises:
      UserError: there is none.
    """
    if self.graph is None:
      raise UserError(
          f'export: {name}: this network has no inference graph (Flax modules'
          ' and block types without `infer` have none); allowed are'
          f' {[other for other in FORMATS if not other.startswith("onnx")]}'
      )
    return self.graph

  def calibration(self, name: str) -> np.ndarray:
    """Training images of the type `takes`.

    Args:
      name: name of the format.

    Raises:
      UserError: there are none.
    """
    if self.training is None:
      raise UserError(
          f'export: {name}: integers are fitted to training images, which'
          ' cannot be read here; allowed is a machine that has the data of the'
          ' training'
      )
    if self.takes == 'uint8':
      return self.training
    return self.model.preprocessing(self.training)


def source_of(
    model: Model, takes: str = 'float32', training: np.ndarray | None = None
) -> Source:
  """Prepares an export.

  Args:
    model: model to export.
    takes: type of the file's images, one of `INPUTS`.
    training: see `Source`.

  Returns:
    The source of the formats.

  Raises:
    UserError: `takes` is wrong, or the model does not classify images.
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
  return Source(model, takes, graph, training)


def _module_function(model: Model) -> Callable[[Any], Any]:
  """The module itself, with convolutions that every platform has."""
  module = model.flax
  if isinstance(module, Network):
    module = module.clone(depthwise='native')
  return lambda images: module.apply(model.variables, images, train=False)


@contextlib.contextmanager
def _of_any_batch(name: str) -> Iterator[None]:
  """Says in one line why a network is not for batches of any size."""
  try:
    yield
  except Exception as error:  # Of the user's own module: whatever it raises.
    said = str(error).strip() or type(error).__name__
    raise UserError(
        f'export: {name}: {said.splitlines()[0]}; allowed are networks that'
        ' take batches of any size, and of others tflite'
    ) from error


def _stablehlo(source: Source, path: epath.Path) -> None:
  with _of_any_batch('stablehlo'):
    data = stablehlo.serialized(source.function(), source.example)
  path.write_bytes(data)


def _onnx_bytes(source: Source, name: str) -> bytes:
  make = _needs('onnx_file:onnx_model', name, 'onnx', 'onnxruntime')
  scaling = source.model.preprocessing.scaling
  return make(
      source.needed_graph(name),
      {'layernas': json.dumps(source.model.facts['preprocessing'])},
      scaling if source.takes == 'uint8' else None,
  ).SerializeToString()


def _onnx(source: Source, path: epath.Path) -> None:
  path.write_bytes(_onnx_bytes(source, 'onnx'))


def _onnx_int8(source: Source, path: epath.Path) -> None:
  inputs = source.calibration('onnx_int8')
  quantized = _needs('onnx_int8:quantized', 'onnx_int8', 'onnx', 'onnxruntime')
  path.write_bytes(quantized(_onnx_bytes(source, 'onnx_int8'), inputs))


def _tflite_bytes(source: Source) -> bytes:
  text = stablehlo.text(source.function(), source.example)
  return litert.tflite_bytes(text)


def _tflite(source: Source, path: epath.Path) -> None:
  path.write_bytes(_tflite_bytes(source))


def _tflite_int8(source: Source, path: epath.Path) -> None:
  inputs = source.calibration('tflite_int8')
  path.write_bytes(litert.quantized(_tflite_bytes(source), inputs))


def _saved_model(source: Source, path: epath.Path) -> None:
  write = _needs('saved_model:write', 'saved_model', 'tensorflow')
  with _of_any_batch('saved_model'):
    write(source.function(), source.example, path)


def _needs(function: str, name: str, *packages: str) -> Callable[..., Any]:
  """What writes a format by packages that few have."""
  try:
    return lookup.find('export', f'layernas.export.{function}', {})
  except UserError as error:
    raise not_installed(f'export: {name}', packages[0], *packages) from error


@dataclasses.dataclass(frozen=True)
class Format:
  """A kind of file.

  Attributes:
    file: name of the file; for SavedModel, that of a directory.
    write: writes a source to a path; raises a UserError if the format cannot
      hold the network or something is not installed.
  """

  file: str
  write: Callable[[Source, epath.Path], None]


FORMATS = {
    'stablehlo': Format('model.stablehlo', _stablehlo),
    'onnx': Format('model.onnx', _onnx),
    'onnx_int8': Format('model_int8.onnx', _onnx_int8),
    'tflite': Format('model.tflite', _tflite),
    'tflite_int8': Format('model_int8.tflite', _tflite_int8),
    'saved_model': Format('saved_model', _saved_model),
}
"""By name."""


def export_model(
    model: Model, formats: Sequence[str], output: epath.PathLike,
    takes: str = 'float32', images: Images | None = None,
) -> dict[str, Any]:
  """Writes files, labels.txt and check.json.

  Args:
    model: model to export.
    formats: keys of `FORMATS`.
    output: directory, created if it does not exist.
    takes: type of the file's images, one of `INPUTS`.
    images: images to measure files with; None takes random ones.

  Returns:
    Content of check.json: 'images', their number; 'accuracy' of the module on
    them, None if they have no labels; 'formats', each with 'file', 'bytes', the
    largest 'difference' from the module's logits, 'agreement' (share of images
    with the same class), 'accuracy', the median 'milliseconds' of a pass of one
    image, and the 'seconds' of writing; and 'failed', the formats that could
    not be written, each with the reason.

  Raises:
    UserError: a format is unknown, or the model cannot be exported at all.
  """
  if not formats:
    raise UserError(f'export: no format: allowed are {list(FORMATS)}')
  for name in formats:
    if name not in FORMATS:
      raise UserError(
          f'export: format {name!r}: allowed are {list(FORMATS)}'
      )
  source = source_of(model, takes, images and images.training)
  directory = epath.Path(output)
  directory.mkdir(parents=True, exist_ok=True)
  (directory / FACTS).write_text(
      json.dumps({**model.facts, 'input': takes}, indent=2) + '\n'
  )
  (directory / 'labels.txt').write_text('\n'.join(model.class_names) + '\n')
  images = images or _random_images(model.preprocessing.size)
  with activity.doing(f'classifying {len(images.test):,} images'):
    wanted = model.logits(images.test)
  found = {
      'images': len(wanted), 'accuracy': _accuracy(wanted, images.labels),
      'formats': {}, 'failed': {},
  }
  for name in formats:
    path = directory / FORMATS[name].file
    begun = time.perf_counter()
    try:
      with activity.doing(f'writing {path.name}'):
        FORMATS[name].write(source, path)
    except UserError as error:
      found['failed'][name] = str(error)
    else:
      seconds = round(time.perf_counter() - begun, 2)
      with activity.doing(f'comparing {path.name} with the model'):
        found['formats'][name] = _measured(path, images, wanted) | {
            'seconds': seconds
        }
    (directory / 'check.json').write_text(json.dumps(found, indent=2) + '\n')
  return found


def _random_images(size: int) -> Images:
  rng = np.random.default_rng(0)
  return Images(rng.integers(0, 256, (20, size, size, 3), np.uint8))


def _measured(
    path: epath.Path, images: Images, wanted: np.ndarray
) -> dict[str, Any]:
  """How a file that was written compares with the module."""
  opened = open_model(path)
  logits = opened.logits(images.test)
  return {
      'file': path.name,
      'bytes': _bytes(path),
      'difference': float(np.abs(logits - wanted).max()),
      'agreement': float(
          (logits.argmax(axis=1) == wanted.argmax(axis=1)).mean()
      ),
      'accuracy': _accuracy(logits, images.labels),
      'milliseconds': _milliseconds(opened, images.test[:1]),
  }


def _bytes(path: epath.Path) -> int:
  if path.is_dir():
    return sum(map(_bytes, path.iterdir()))
  return path.stat().length


def _accuracy(logits: np.ndarray, labels: np.ndarray | None) -> float | None:
  if labels is None:
    return None
  return float((logits.argmax(axis=1) == labels).mean())


def _milliseconds(opened: Classifier, image: np.ndarray) -> float:
  seconds = []
  for _ in range(_TIMED + 1):
    begun = time.perf_counter()
    opened.logits(image)
    seconds.append(time.perf_counter() - begun)
  return round(1e3 * float(np.median(seconds[1:])), 4)
