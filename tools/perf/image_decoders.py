"""Compares the two decoders of image folders, Pillow and TensorFlow.

  .venv/bin/python tools/perf/image_decoders.py

On one core, in rounds in which both take turns: images per second of training
batches of 224 pixels (random areas, flips, uint8), of files of 500 x 375 pixels
as in ImageNet and of photographs of 12 megapixels. The ratio of a round varies
less than its figures on a shared machine; medians are stored.

Beside that how far apart their pixels are: the mean absolute difference, in
levels of 255, of what evaluation sees of real photographs at several sizes. And
how many milliseconds of an image hold Python's lock at most, which no number of
cores makes less: all that Pillow takes for an image of 8 x 8 pixels.

The photographs are those that Matplotlib and scikit-learn bring.
"""

import io
import itertools
import json
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import sklearn.datasets
import tensorflow as tf
from absl import flags
from matplotlib import cbook
from PIL import Image

from configs import default
from layernas.data import pillow_images
from layernas.data import tensor_images
from layernas.data.dataset import Dataset
from layernas.data.preparation import Preparation
from layernas.data.registry import load_dataset
from layernas.runs import cli
from tools.perf.machine import machine

_OUTPUT = cli.define_path(
    'output', 'Where the results are written.',
    default='docs/results/image_decoders',
)
_ROUNDS = flags.DEFINE_integer('rounds', 7, 'Times that all is measured.', 1)
_SECONDS = flags.DEFINE_float('seconds', 3.0, 'Of each figure of a round.', 0.1)

_DECODERS = ('pillow', 'tensorflow')
_SIDE = 224
_FILES = {'500 x 375': (500, 375, 32), '4000 x 3000': (4000, 3000, 4)}
"""Width and height of the files in pixels, and images of a batch."""

_SIZES = (32, 96, 160, 224, 448)


def main() -> None:
  """Measures and writes image_decoders.json."""
  load = os.getloadavg()[0]
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  photographs = _photographs()
  with tempfile.TemporaryDirectory() as directory:
    cases = {
        (name, decoder): _dataset(pathlib.Path(directory, name), decoder)
        for name in _written(photographs, pathlib.Path(directory))
        for decoder in _DECODERS
    }
    rounds = [_round(cases) for _ in range(_ROUNDS.value)]
  results = {
      'medians': {
          name: {
              decoder: statistics.median(one[name][decoder] for one in rounds)
              for decoder in _DECODERS
          } for name in _FILES
      },
      'pillow/tensorflow': {
          name: round(statistics.median(
              one[name]['pillow'] / one[name]['tensorflow'] for one in rounds
          ), 3) for name in _FILES
      },
      'difference': _differences(photographs),
      'milliseconds_with_lock': round(_smallest(), 3),
      'side': _SIDE, 'photographs': len(photographs), 'cores_used': 1,
      'machine': machine(
          tensorflow=tf.__version__, pillow=Image.__version__
      ),
      'load_before': round(load, 2), 'rounds': rounds,
  }
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  text = json.dumps(results, indent=1)
  (output / 'image_decoders.json').write_text(text + '\n')
  print(json.dumps({
      name: value for name, value in results.items() if name != 'rounds'
  }))


def speed_table(results: dict[str, Any]) -> str:
  """The speeds as a table of Markdown.

  Args:
    results: as stored.

  Returns:
    A line for each kind of files.
  """
  lines = [
      '| pixels of a file | Pillow | TensorFlow | ratio |', '|---|---|---|---|'
  ]
  lines += [
      f'| {name} | {found["pillow"]:.0f} | {found["tensorflow"]:.0f}'
      f' | {results["pillow/tensorflow"][name]:.2f} |'
      for name, found in results['medians'].items()
  ]
  return '\n'.join(lines)


def difference_table(results: dict[str, Any]) -> str:
  """How far apart pixels are, as a table of Markdown.

  Args:
    results: as stored.

  Returns:
    A line for each size.
  """
  lines = ['| side | images shrink by | levels of 255 |', '|---|---|---|']
  lines += [
      f'| {size} | {found["shrinks_by"]:.1f} | {found["levels"]:.2f} |'
      for size, found in results['difference'].items()
  ]
  return '\n'.join(lines)


def _photographs() -> list[Image.Image]:
  samples = sklearn.datasets.load_sample_images().images
  with cbook.get_sample_data('grace_hopper.jpg') as file:
    return [
        Image.open(file).convert('RGB'), *map(Image.fromarray, samples)
    ]


def _written(
    photographs: list[Image.Image], directory: pathlib.Path
) -> Iterator[str]:
  """Writes an image folder of each kind of files and gives its name."""
  for name, (width, height, batch) in _FILES.items():
    for split, label in itertools.product(('train', 'test'), 'ab'):
      folder = directory / name / split / label
      folder.mkdir(parents=True)
      count = batch if split == 'train' else 1
      for number, photograph in zip(
          range(count), itertools.cycle(photographs), strict=False
      ):
        photograph.resize((width, height), Image.Resampling.BICUBIC).save(
            folder / f'{number}.jpg', quality=90
        )
    yield name


def _dataset(directory: pathlib.Path, decoder: str) -> Dataset:
  section = default.get_config().data
  section.update(
      source='folder', directory=str(directory), decoder=decoder,
      image_size=_SIDE, augmentation='resized_crop', transfer='uint8',
  )
  return load_dataset(section)


def _round(
    cases: dict[tuple[str, str], Dataset]
) -> dict[str, dict[str, float]]:
  found = {name: {} for name in _FILES}
  for (name, decoder), dataset in cases.items():
    rate = _images_per_second(dataset, _FILES[name][2])
    found[name][decoder] = round(rate, 1)
  print(json.dumps(found), flush=True)
  return found


def _images_per_second(dataset: Dataset, batch: int) -> float:
  """Of batches after those that a pipeline makes ahead of time."""
  batches = dataset.train_batches('all_train', batch, seed=0)
  for _ in range(4):
    next(batches)
  begun, count = time.perf_counter(), 0
  while time.perf_counter() - begun < _SECONDS.value:
    next(batches)
    count += batch
  return count / (time.perf_counter() - begun)


def _differences(photographs: list[Image.Image]) -> dict[str, Any]:
  """By size how much images shrink on average, and the difference."""
  files = [_jpeg(photograph) for photograph in photographs]
  found = {}
  for size in _SIZES:
    preparation = Preparation(size, 'resized_crop')
    found[str(size)] = {
        'shrinks_by': round(statistics.fmean(
            preparation.central_share * min(photograph.size) / size
            for photograph in photographs
        ), 2),
        'levels': round(statistics.fmean(
            _difference(file, preparation) for file in files
        ), 2),
    }
  return found


def _difference(file: bytes, preparation: Preparation) -> float:
  one = pillow_images.central(file, preparation)
  other = tensor_images.to_transfer(
      tensor_images.central(tf.constant(file), preparation), 'uint8'
  ).numpy()
  return float(np.abs(one.astype(int) - other.astype(int)).mean())


def _jpeg(image: Image.Image) -> bytes:
  file = io.BytesIO()
  image.save(file, 'jpeg', quality=90)
  return file.getvalue()


def _smallest() -> float:
  """Milliseconds of an image of 8 x 8 pixels."""
  file, key = _jpeg(Image.new('RGB', (8, 8))), np.array([1, 2, 3])
  preparation, times = Preparation(8, 'resized_crop'), []
  for _ in range(2000):
    begun = time.perf_counter()
    pillow_images.augment(file, preparation, key)
    times.append(time.perf_counter() - begun)
  return 1000 * statistics.median(times)


if __name__ == '__main__':
  cli.run(main)
