"""TFLite files, by litert-converter from StableHLO, without TensorFlow.

Its interface is not stable: the extra `litert` pins the version. It changes
process-wide state of MLIR, and the quantizer prints a lot, so that each runs in
a process of its own.
"""

import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.errors import UserError

INPUT, OUTPUT = 'image', 'logits'
"""Names of the file's input and output, in the signature SIGNATURE."""

SIGNATURE = 'serving_default'

# Of the calibration images, how many an extreme value of each tensor may leave
# out: none, or one of a hundred.
_SHARES = (1.0, 0.99)


def tflite_bytes(stablehlo: str) -> bytes:
  """A TFLite file of a program.

  Args:
    stablehlo: text of a module with one input and one output.

  Returns:
    Content of the file.

  Raises:
    UserError: the converter is not installed, or refuses the program; with its
      last line.
  """
  return _in_another_process('tflite', {'source': stablehlo.encode()})


def quantized(data: bytes, inputs: np.ndarray) -> bytes:
  """A TFLite file of integers: 8 bits for weights and features.

  Weights have a scale for each filter, features one for each tensor. Of the
  ways to choose ranges, that one is taken whose logits of the calibration
  images are nearest to those of the float file.

  Args:
    data: content of a float file.
    inputs: calibration images as the file takes them, shape (n, size, size, 3).

  Returns:
    Content of the file; input and output are of the same types as before.

  Raises:
    UserError: the quantizer is not installed, or refuses the file.
  """
  with tempfile.TemporaryFile() as file:
    np.save(file, inputs, allow_pickle=False)
    file.seek(0)
    images = file.read()
  return _in_another_process(
      'tflite_int8', {'source': data, 'inputs': images}
  )


def _in_another_process(name: str, files: Mapping[str, bytes]) -> bytes:
  """What this file as a program makes of files."""
  with tempfile.TemporaryDirectory() as text:
    directory = pathlib.Path(text)
    for file, data in files.items():
      (directory / file).write_bytes(data)
    done = subprocess.run(
        [sys.executable, '-m', __name__, name, text],
        capture_output=True, text=True, check=False,
    )
    target = directory / 'target'
    if done.returncode or not target.exists():
      said = done.stderr.strip().splitlines() or ['no reason']
      raise UserError(
          f'export: {name}: {said[-1]}; allowed is a network that the converter'
          ' takes, with: pip install litert-converter==0.5.0 ai-edge-litert'
          ' ai-edge-quantizer'
      )
    return target.read_bytes()


def _convert(directory: pathlib.Path) -> bytes:
  from litert_converter.mlir import ir  # noqa: PLC0415
  from litert_converter.mlir import passmanager  # noqa: PLC0415
  from litert_converter.mlir._mlir_libs import converter_api_ext as api  # noqa: PLC0415

  context = ir.Context()
  api.prepare_mlir_context(context)
  with context:
    module = ir.Module.parse((directory / 'source').read_text())
    api.set_signature(
        module.operation, signature_name=SIGNATURE, input_names=[INPUT],
        output_names=[OUTPUT],
    )
    module = api.merge_modules([module])
    api.run_convert_to_tfl_passes(
        module, passmanager.PassManager(), api.ConvertToTFLConfig()
    )
    return api.export_flatbuffer_to_bytes(module.operation)


def _quantize(directory: pathlib.Path) -> bytes:
  from ai_edge_quantizer import calibrator  # noqa: PLC0415
  from ai_edge_quantizer import qtyping  # noqa: PLC0415
  from ai_edge_quantizer import quantizer  # noqa: PLC0415
  from ai_edge_quantizer import recipe  # noqa: PLC0415
  from ai_edge_quantizer import recipe_manager  # noqa: PLC0415

  data = (directory / 'source').read_bytes()
  inputs = np.load(directory / 'inputs', allow_pickle=False)
  recipes = recipe_manager.RecipeManager()
  recipes.load_quantization_recipe(recipe.static_wi8_ai8())
  for end in ('INPUT', 'OUTPUT'):
    recipes.add_quantization_config(
        '.*', qtyping.TFLOperationName[end],
        algorithm_key=recipe.AlgorithmName.NO_QUANTIZE,
    )
  # The package's own rule is a moving average over images, which lost seven
  # points of accuracy on the embedded images.
  calibration = calibrator.Calibrator(
      data, num_threads=1, qsv_update_func=_with_extremes
  )
  calibration.calibrate(
      {SIGNATURE: [{INPUT: image[None]} for image in inputs]}, recipes
  )
  found = calibration.get_model_qsvs()
  wanted = _logits(data, inputs)
  files = [
      bytes(
          quantizer.Quantizer(data, recipes.get_quantization_recipe()).quantize(
              {name: _range(one, share) for name, one in found.items()}
          ).quantized_model
      )
      for share in _SHARES
  ]
  return min(
      files, key=lambda file: np.abs(_logits(file, inputs) - wanted).mean()
  )


def _with_extremes(
    before: dict[str, Any], new: Mapping[str, Any]
) -> dict[str, Any]:
  """Keeps the extremes of every image."""
  for end in ('min', 'max'):
    before.setdefault(f'all_{end}', [before[end]]).append(new[end])
  return before


def _range(found: Mapping[str, Any], share: float) -> dict[str, np.ndarray]:
  """The range of a tensor that holds a share of the images."""
  ends = {}
  for end, level in (('min', 1 - share), ('max', share)):
    every = found.get(f'all_{end}', [found[end]])
    ends[end] = np.quantile(np.stack(every), level, axis=0).astype(np.float32)
  return ends


def _logits(data: bytes, inputs: np.ndarray) -> np.ndarray:
  from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

  runner = Interpreter(model_content=data).get_signature_runner()
  return np.concatenate([
      runner(**{INPUT: image[None]})[OUTPUT] for image in inputs
  ])


if __name__ == '__main__':
  _, kind, place = sys.argv
  made = {'tflite': _convert, 'tflite_int8': _quantize}[kind](
      pathlib.Path(place)
  )
  (pathlib.Path(place) / 'target').write_bytes(made)
