"""Exported files, opened by the runtime that runs them.

Beside each lies the model.json that was written with it: preprocessing, classes
and the type of the images.
"""

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from etils import epath

from layernas import activity
from layernas import paths
from layernas.errors import UserError
from layernas.errors import not_installed
from layernas.export.model import Classifier
from layernas.export.model import facts_of
from layernas.export.model import load_model
from layernas.export.model import read_facts

Run = Callable[[np.ndarray], np.ndarray]
"""From a batch of images to logits."""


_SAVED_MODEL = 'saved_model.pb'


class _File(Classifier):
  """An exported file."""

  def __init__(self, facts: dict[str, Any], run: Run, batch: int):
    """Wraps what runs a batch.

    Args:
      facts: content of model.json.
      run: of at most `batch` images.
      batch: images of one pass at most.
    """
    super().__init__(facts)
    self._run = run
    self.batch = batch

  def _pass(self, inputs: np.ndarray) -> np.ndarray:
    """See `Classifier`."""
    return np.asarray(self._run(inputs))


def open_model(path: str | os.PathLike[str]) -> Classifier:
  """A model directory, or a file that `export` wrote.

  Args:
    path: of the directory, or of a .onnx, .tflite or .stablehlo file, or of a
      SavedModel's directory.

  Returns:
    What classifies images.

  Raises:
    UserError: there is no such thing, or its runtime is not installed.
  """
  text = paths.expanded('model', os.fspath(path))
  path = epath.Path(text)
  suffix = path.suffix
  if suffix not in _OPEN:
    if not (path / _SAVED_MODEL).exists():
      return load_model(text)
    suffix = _SAVED_MODEL
  if not path.exists():
    raise UserError(f'model {text}: no such file; allowed is an exported one')
  with activity.doing('opening the model'):
    run, batch = _OPEN[suffix](text)
  facts = read_facts(path.parent)
  with facts_of(path.parent):
    return _File(facts, run, batch)


def _imported(module: str, package: str, path: str) -> Any:
  try:
    return importlib.import_module(module)
  except ImportError as error:
    raise not_installed(f'model {path}', package, package) from error


def _open_onnx(path: str) -> tuple[Run, int]:
  runtime = _imported('onnxruntime', 'onnxruntime', path)
  try:
    session = runtime.InferenceSession(path)
  except Exception as error:
    raise _damaged(path, error) from error
  name = session.get_inputs()[0].name
  return lambda images: session.run(None, {name: images})[0], 64


def _open_tflite(path: str) -> tuple[Run, int]:
  interpreter = _imported('ai_edge_litert.interpreter', 'ai-edge-litert', path)
  try:
    runner = interpreter.Interpreter(path).get_signature_runner()
  except Exception as error:
    raise _damaged(path, error) from error
  [name] = runner.get_input_details()
  [output] = runner.get_output_details()
  return lambda images: runner(**{name: images})[output], 1


def _open_saved_model(path: str) -> tuple[Run, int]:
  _imported('tensorflow', 'tensorflow', path)
  from layernas.export import saved_model  # noqa: PLC0415

  try:
    return saved_model.loaded(path), 64
  except Exception as error:
    raise _damaged(path, error) from error


def _open_stablehlo(path: str) -> tuple[Run, int]:
  from layernas.export import stablehlo  # noqa: PLC0415

  try:
    return stablehlo.loaded(epath.Path(path).read_bytes()), 64
  except Exception as error:
    raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> UserError:
  said = str(error).strip().splitlines() or [type(error).__name__]
  return UserError(
      f'model {path}: {said[-1]}; allowed is a file that export wrote'
  )


_OPEN: dict[str, Callable[[str], tuple[Run, int]]] = {
    '.onnx': _open_onnx, '.tflite': _open_tflite,
    '.stablehlo': _open_stablehlo, _SAVED_MODEL: _open_saved_model,
}
"""By the ending of the file, or a file within a directory: what runs a batch,
and how many images at most."""
