r"""Writes a trained model as StableHLO, ONNX, TFLite or SavedModel.

  .venv/bin/python experiments/export.py \
    workdir/cifar10_small/final/winner/seed0/model --formats=stablehlo,onnx

Batch norm is folded into convolutions. Beside the files: labels.txt, README.md
(a model card) and check.json, which holds each file against the Flax module.
Files of integers are fitted to training images alone. StableHLO needs nothing
more; the others need
  onnx, onnx_int8        pip install onnx onnxruntime
  tflite, tflite_int8    pip install litert-converter==0.5.0 ai-edge-litert \
                           ai-edge-quantizer
  saved_model            pip install tensorflow
"""

from absl import flags

from layernas import activity
from layernas.runs import cli

_FORMATS = flags.DEFINE_list(
    'formats', ['stablehlo'], 'Of stablehlo, onnx, onnx_int8, tflite,'
    ' tflite_int8 and saved_model, joined by commas.'
)
_INPUT = flags.DEFINE_string(
    'input', 'float32', 'Type of the images that files take: float32, scaled'
    ' as README.md says, or uint8.'
)
_OUTPUT = cli.define_path(
    'output', 'Directory; default: export/ beside the model.'
)


def main(model: str) -> None:
  """Writes the files."""
  with activity.doing('loading JAX'):
    from layernas.runs import use_model  # noqa: PLC0415

  use_model.run_export(
      model, _FORMATS.value, _OUTPUT.value or '', _INPUT.value
  )


if __name__ == '__main__':
  cli.run(main, argument='MODEL')
