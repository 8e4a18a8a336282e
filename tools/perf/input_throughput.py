"""Measures images per second of the ImageNet input pipeline and of decoding.

  .venv/bin/python tools/perf/input_throughput.py

The program makes JPEG files of 375 to 500 pixels a side, lets TFDS's builder
store them as imagenet2012, and takes training batches of 224 pixels: random
access to records, random areas, bicubic, flips, uint8. Every round also
measures, with the same threads, in a fixed order and from memory:
  images    from the bytes of a file to its 224 pixels: decoding alone, without
            reading, shuffling, numbering or collecting
  whole     each file decoded whole by TensorFlow and not resized
  windows   a random area of each decoded and not resized
The ratio pipeline/images is the cost of everything but decoding. The other two
show how the time splits into decoding and resizing. Ratios vary less than the
figures on a shared machine, so they are taken within a round; medians are
stored.
"""

import functools
import io
import json
import os
import pathlib
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import flags
from ml_collections import ConfigDict
from PIL import Image

from configs import default
from layernas.data import tensor_images
from layernas.data.dataset import Dataset
from layernas.data.registry import load_dataset
from layernas.reports.plots import subplots
from layernas.runs import cli
from tools.perf.machine import machine

_OUTPUT = cli.define_path(
    'output', 'Where the results are written.',
    default='docs/results/input_throughput',
)
_ROUNDS = flags.DEFINE_integer('rounds', 7, 'Times that all is measured.', 1)
_BATCHES = flags.DEFINE_integer('batches', 40, 'Timed in a round.', 1)
_TRANSFER = flags.DEFINE_string('transfer', 'uint8', 'As data.transfer.')

_IMAGES, _SHARDS, _BATCH, _SIDE = 1024, 8, 64, 224
_PREPARATION = tensor_images.Preparation(_SIDE, 'resized_crop')
_SHAPES = ((375, 500), (500, 375), (400, 500), (500, 450))
"""Height and width; most of ImageNet's images are 500 by 375."""

_WARM_UP = 8
"""Batches before the timed ones, while tf.data sets its parallelism."""


def main() -> None:
  """Measures and writes input_throughput.json and .png."""
  load = os.getloadavg()[0]
  files = [_jpeg(number) for number in range(_IMAGES)]
  with tempfile.TemporaryDirectory() as directory:
    dataset = _imagenet(files, pathlib.Path(directory))
    cases = {
        'pipeline': functools.partial(_pipeline, dataset),
        'images': functools.partial(_decoding, files, _image),
        'whole': functools.partial(_decoding, files, _whole),
        'windows': functools.partial(_decoding, files, _window),
    }
    rounds = [_round(cases) for _ in range(_ROUNDS.value)]
  results = _summary(rounds) | {
      'image_bytes': round(statistics.fmean(map(len, files))),
      'batch': _BATCH, 'side': _SIDE, 'transfer': _TRANSFER.value,
      'batches': _BATCHES.value, 'machine': machine(tensorflow=tf.__version__),
      'load_before': round(load, 2), 'rounds': rounds,
  }
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  text = json.dumps(results, indent=1)
  (output / 'input_throughput.json').write_text(text + '\n')
  _plot(results, output / 'input_throughput.png')
  print(json.dumps({name: results[name] for name in ('medians', 'ratios')}))


def _round(cases: dict[str, Callable[[], Iterator[Any]]]) -> dict[str, float]:
  found = {}
  for name, make in cases.items():
    found[name] = round(_images_per_second(make()), 1)
  print(json.dumps(found), flush=True)
  return found


def _images_per_second(batches: Iterator[Any]) -> float:
  for _ in range(_WARM_UP):
    next(batches)
  begun = time.perf_counter()
  for _ in range(_BATCHES.value):
    next(batches)
  return _BATCHES.value * _BATCH / (time.perf_counter() - begun)


def _summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
  return {
      'medians': {
          name: statistics.median(found[name] for found in rounds)
          for name in rounds[0]
      },
      'ratios': {
          f'pipeline/{name}': round(statistics.median(
              found['pipeline'] / found[name] for found in rounds
          ), 3)
          for name in ('images', 'whole', 'windows')
      },
  }


def _pipeline(dataset: Dataset) -> Iterator[Any]:
  return dataset.train_batches('all_train', _BATCH, seed=0)


def _decoding(
    files: list[bytes], decode: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> Iterator[Any]:
  """Batches with one value of each image, so that images are not collected."""
  keys = np.random.default_rng(0).integers(2**63, size=(len(files), 3))
  images = tf.data.Dataset.from_tensor_slices((files, keys)).repeat()
  corners = images.map(
      lambda file, key: decode(file, key)[0, 0, 0], tf.data.AUTOTUNE
  )
  batches = corners.batch(_BATCH, num_parallel_calls=tf.data.AUTOTUNE)
  return batches.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()


def _image(file: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
  image = tensor_images.augment(file, _PREPARATION, key)
  return tensor_images.to_transfer(image, _TRANSFER.value)


def _whole(file: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
  del key
  return tf.io.decode_jpeg(file, 3, dct_method='INTEGER_ACCURATE')


def _window(file: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
  return tensor_images.decode_window(
      file, tensor_images.random_window(key[:2], _PREPARATION)
  )


def _jpeg(number: int) -> bytes:
  """Makes a file like a photograph: smooth shapes, some grain, about 70 KB."""
  rng = np.random.default_rng(number)
  height, width = _SHAPES[number % len(_SHAPES)]
  shapes = rng.integers(0, 256, (height // 25, width // 25, 3), dtype=np.uint8)
  image = np.asarray(
      Image.fromarray(shapes).resize((width, height), Image.Resampling.BICUBIC)
  )
  grain = rng.normal(0, 9, (height, width, 1))
  pixels = np.clip(image + grain, 0, 255).astype(np.uint8)
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'jpeg', quality=85)
  return file.getvalue()


def _imagenet(files: list[bytes], directory: pathlib.Path) -> Dataset:
  """Stores files as imagenet2012, all in one class, and opens it."""
  builder = tfds.builder(
      'imagenet2012', data_dir=directory, file_format='tfrecord'
  )
  archives = directory / 'downloads' / 'manual'
  archives.mkdir(parents=True)
  synset = builder.info.features['label'].names[0]
  inner = io.BytesIO()
  with tarfile.open(fileobj=inner, mode='w') as archive:
    for number, file in enumerate(files):
      _add(archive, f'{synset}_{number}.JPEG', file)
  with tarfile.open(archives / 'ILSVRC2012_img_train.tar', 'w') as archive:
    _add(archive, f'{synset}.tar', inner.getvalue())
  with tarfile.open(archives / 'ILSVRC2012_img_val.tar', 'w') as archive:
    for number in range(_SHARDS):
      _add(archive, f'ILSVRC2012_val_{number + 1:08d}.JPEG', files[number])
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(num_shards=_SHARDS)
  )
  return load_dataset(_config(directory))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
  member = tarfile.TarInfo(name)
  member.size = len(data)
  archive.addfile(member, io.BytesIO(data))


def _config(directory: pathlib.Path) -> ConfigDict:
  config = default.get_config().data
  config.update(
      source='tfds', name='imagenet2012', directory=str(directory),
      image_size=_SIDE, augmentation='resized_crop', transfer=_TRANSFER.value,
  )
  return config


def _plot(results: dict[str, Any], path: pathlib.Path) -> None:
  labels = {
      'pipeline': 'pipeline: read, decode, crop,\nbicubic, flip, batch',
      'images': 'decode, crop, bicubic, flip',
      'whole': 'decode whole images',
      'windows': 'decode random areas',
  }
  figure, axes = subplots(figsize=(6, 2.4))
  for place, name in enumerate(labels):
    rates = [found[name] for found in results['rounds']]
    axes.barh(place, results['medians'][name], color=f'C{place}', alpha=0.6)
    axes.plot(rates, [place] * len(rates), 'k|')
  axes.set_yticks(range(len(labels)), labels.values())
  axes.invert_yaxis()
  axes.set_xlabel(f'images per second, {results["machine"]["cores"]} cores')
  figure.savefig(path, dpi=130)


if __name__ == '__main__':
  cli.run(main)
