r"""Evaluates a trained model on test images.

  .venv/bin/python experiments/validate.py \
    workdir/cifar10_small/final/winner/seed0/model

The model is a directory that train wrote, or a .onnx, .tflite or .stablehlo
file of export. Prints loss, accuracy, top-5 accuracy and images per second.
"""

from absl import flags

from layernas import activity
from layernas.runs import cli

_DATA = cli.define_path(
    'data', 'An image folder, whose DIR/test/CLASS/* are taken; default: the'
    ' test images of the training.'
)
_CSV = flags.DEFINE_bool('csv', False, 'Print CSV in place of a table.')


def main(model: str) -> None:
  """Evaluates."""
  with activity.doing('loading JAX'):
    from layernas.runs import use_model  # noqa: PLC0415

  use_model.run_validate(model, _DATA.value or '', _CSV.value)


if __name__ == '__main__':
  cli.run(main, argument='MODEL', data=_CSV)
