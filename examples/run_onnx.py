r"""Runs an exported classifier in ONNX Runtime, without layernas.

  ./launch.sh export workdir/cifar10_small/final/winner/seed0/model \
    --formats=onnx --input=uint8 --output=workdir/export
  .venv/bin/python examples/run_onnx.py workdir/export examples/automobile.png

The image is squeezed into the network's square; `layernas predict` crops it as
the training's evaluation did.
"""

import pathlib
import sys

import numpy as np
import onnxruntime
from PIL import Image


def main(directory: str, image: str) -> None:
  """Prints the likeliest class.

  Args:
    directory: of the exported files.
    image: path of an image.
  """
  folder = pathlib.Path(directory)
  session = onnxruntime.InferenceSession(folder / 'model.onnx')
  [takes] = session.get_inputs()
  _, height, width, _ = takes.shape
  picture = Image.open(image).convert('RGB').resize((width, height))
  [[logits]] = session.run(None, {takes.name: np.asarray(picture)[None]})
  labels = (folder / 'labels.txt').read_text().splitlines()
  print(f'{labels[logits.argmax()]}: logit {logits.max():.3f}')


if __name__ == '__main__':
  main(*sys.argv[1:])
