r"""Prints the likeliest classes of images, by a trained model.

  .venv/bin/python experiments/predict.py \
    workdir/cifar10_small/final/winner/seed0/model cat.png dog.jpg

The model is a directory that train wrote, or a .onnx, .tflite or .stablehlo
file of export. Images may have any size: they are cropped and resized as in the
network's evaluation.
"""

from absl import flags

from layernas import activity
from layernas.runs import cli

_JSON = flags.DEFINE_bool('json', False, 'Print JSON in place of a table.')


def main(model: str, *images: str) -> None:
  """Prints them."""
  with activity.doing('loading JAX'):
    from layernas.runs import use_model  # noqa: PLC0415

  use_model.predict(model, images, _JSON.value)


if __name__ == '__main__':
  cli.run(main, argument='MODEL IMAGE...', data=_JSON)
