"""ONNX files of integers: 8 bits for weights and features.

ONNX Runtime's quantizer sets QuantizeLinear and DequantizeLinear around each
operation. Weights have a scale for each filter, features one for each tensor,
whose range comes from calibration images.
"""

import contextlib
import io
import logging
import pathlib
import tempfile
from collections.abc import Iterator

import numpy as np
import onnxruntime
from onnxruntime import quantization
from onnxruntime.quantization import CalibrationMethod

from layernas.export.onnx_file import INPUT

# All values, or all but one of 100,000 at either end (the quantizer's own
# default): a few outliers make the steps of all others coarse. Which is better
# differs between networks.
_RANGES = (CalibrationMethod.MinMax, CalibrationMethod.Percentile)


class _Reader(quantization.CalibrationDataReader):
  """Hands out one image at a time."""

  def __init__(self, inputs: np.ndarray):
    self._inputs = iter(inputs)

  def get_next(self) -> dict[str, np.ndarray] | None:
    """The next one, or None."""
    image = next(self._inputs, None)
    return None if image is None else {INPUT: image[None]}


def quantized(data: bytes, inputs: np.ndarray) -> bytes:
  """An ONNX file of integers.

  Of the ways to choose ranges, that one is taken whose logits of the
  calibration images are nearest to those of the float file.

  Args:
    data: content of a float file.
    inputs: calibration images as the file takes them, shape (n, size, size, 3).

  Returns:
    Content of the file; input and output are of the same types as before.
  """
  wanted = _logits(data, inputs)
  files = [_file(data, inputs, method) for method in _RANGES]
  return min(
      files, key=lambda file: np.abs(_logits(file, inputs) - wanted).mean()
  )


def _file(
    data: bytes, inputs: np.ndarray, method: CalibrationMethod
) -> bytes:
  with tempfile.TemporaryDirectory() as directory, _silent():
    source, target = (
        pathlib.Path(directory) / name for name in ('float', 'int8')
    )
    source.write_bytes(data)
    quantization.quantize_static(
        str(source), str(target), _Reader(inputs), per_channel=True,
        quant_format=quantization.QuantFormat.QDQ, calibrate_method=method,
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    return target.read_bytes()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
  """The quantizer prints what it does, and advises what is done already."""
  level = logging.root.manager.disable
  logging.disable(logging.WARNING)
  try:
    with contextlib.redirect_stdout(io.StringIO()):
      yield
  finally:
    logging.disable(level)


def _logits(data: bytes, inputs: np.ndarray) -> np.ndarray:
  session = onnxruntime.InferenceSession(data)
  return np.concatenate([
      session.run(None, {INPUT: image[None]})[0] for image in inputs
  ])
