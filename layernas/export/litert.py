"""TFLite files, by litert-converter from StableHLO, without TensorFlow.

Its interface is not stable: the extra `litert` pins the version. It changes
process-wide state of MLIR, so that a conversion runs in a process of its own.
"""

import pathlib
import subprocess
import sys
import tempfile

from layernas.errors import UserError

INPUT, OUTPUT = 'image', 'logits'
"""Names of the file's input and output, in the signature SIGNATURE."""

SIGNATURE = 'serving_default'


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
  with tempfile.TemporaryDirectory() as directory:
    source = pathlib.Path(directory) / 'module.mlir'
    target = pathlib.Path(directory) / 'model.tflite'
    source.write_text(stablehlo)
    done = subprocess.run(
        [sys.executable, '-m', __name__, str(source), str(target)],
        capture_output=True, text=True, check=False,
    )
    if done.returncode or not target.exists():
      said = done.stderr.strip().splitlines() or ['no reason']
      raise UserError(
          f'export: tflite: {said[-1]}; allowed is a network that'
          " litert-converter 0.5 takes (pip install 'litert-converter==0.5.*')"
      )
    return target.read_bytes()


def _convert(source: str, target: str) -> None:
  from litert_converter.mlir import ir  # noqa: PLC0415
  from litert_converter.mlir import passmanager  # noqa: PLC0415
  from litert_converter.mlir._mlir_libs import converter_api_ext as api  # noqa: PLC0415

  context = ir.Context()
  api.prepare_mlir_context(context)
  with context:
    module = ir.Module.parse(pathlib.Path(source).read_text())
    api.set_signature(
        module.operation, signature_name=SIGNATURE, input_names=[INPUT],
        output_names=[OUTPUT],
    )
    module = api.merge_modules([module])
    api.run_convert_to_tfl_passes(
        module, passmanager.PassManager(), api.ConvertToTFLConfig()
    )
    data = api.export_flatbuffer_to_bytes(module.operation)
  pathlib.Path(target).write_bytes(data)


if __name__ == '__main__':
  _convert(*sys.argv[1:])
