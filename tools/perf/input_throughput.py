"""Measures how many training images a second the input can give.

  .venv/bin/python tools/perf/input_throughput.py

Of every kind of data it measures, in rounds in which all take turns:
  decode   from the bytes of a file to the pixels of a network, on all cores, in
           a fixed order and from memory: nothing is read, shuffled, numbered or
           collected. Images in memory are decoded already.
  input    batches as the data set makes them, nothing done with them
  steps    the same batches through what trainings use: put onto the devices
           ahead of time, augmented there where the row says so, scaled, and
           taken by a step that reads one pixel. No training is faster.
The step's own figure on a device (tools/perf/train_step.py) is to be less than
the last one. Where TensorFlow is not installed, its rows are left out.

Images in memory are those of the embedded data and noise of 224 pixels, cropped
and flipped. Files are JPEG of 375 to 500 pixels a side, cut to random areas of
224 pixels and flipped: an image folder by both decoders, and an imagenet2012
written by TFDS. Of that set also:
  whole    each file decoded whole by TensorFlow and not resized
  windows  a random area of each decoded and not resized
Beside images a second it stores images a second of CPU time, over all threads:
other programs hardly change them, and they say what a machine with more cores
gives. Ratios are of these, taken within a round; medians are stored.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import importlib.util
import io
import itertools
import json
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict
from PIL import Image

from configs import default
from layernas.data import pillow_images
from layernas.data.array_dataset import ArrayDataset
from layernas.data.dataset import Dataset
from layernas.data.preparation import Preparation
from layernas.data.registry import load_dataset
from layernas.runs import cli
from layernas.training import devices
from tools.perf.machine import machine

_SIDE, _BATCH, _FILES = 224, 64, 512
_SMALL_BATCH = 256
"""Of images of 32 pixels."""

_SHAPES = ((375, 500), (500, 375), (400, 500), (500, 450))
"""Height and width; most of ImageNet's images are 500 by 375."""

_WARM_UP = 8
"""Batches before the timed ones, while tf.data sets its parallelism."""


@dataclasses.dataclass(frozen=True)
class _Row:
  """A kind of data.

  Attributes:
    dataset: makes its batches.
    batch: images of one.
    decoding: by name what decodes the same images alone, a batch an item.
  """

  dataset: Dataset
  batch: int
  decoding: Mapping[str, Callable[[], Iterator[Any]]]

  def measures(self) -> dict[str, Callable[[], Iterator[Any]]]:
    """By name what makes batches without end."""
    batches = functools.partial(
        self.dataset.train_batches, 'all_train', self.batch, 0
    )
    return {
        **self.decoding, 'input': batches,
        'steps': lambda: _steps(batches(), self.dataset),
    }


_FLAGS = flags.FLAGS


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  cli.define_path(
      'output', 'Where the results are written.',
      default='docs/results/input_throughput',
  )
  flags.DEFINE_integer('rounds', 5, 'Times that all is measured.', 1)
  flags.DEFINE_float('seconds', 1.0, 'Of each figure of a round.', 0.1)


def main() -> None:
  """Measures and writes input_throughput.json and .md."""
  load = os.getloadavg()[0]
  devices.prepare(deterministic=False)
  files = [_jpeg(number) for number in range(_FILES)]
  with tempfile.TemporaryDirectory() as directory:
    rows = {**_in_memory(), **_of_files(files, pathlib.Path(directory))}
    rounds = [_round(rows) for _ in range(_FLAGS.rounds)]
  results = {
      'medians': _medians(rounds), 'ratios': _ratios(rounds),
      'image_bytes': round(statistics.fmean(map(len, files))),
      'batch': {name: row.batch for name, row in rows.items()},
      'seconds': _FLAGS.seconds,
      'machine': machine(
          jax=jax.__version__, device=jax.devices()[0].device_kind,
          devices=jax.local_device_count(),
      ),
      'load_before': round(load, 2), 'rounds': rounds,
  }
  output = pathlib.Path(_FLAGS.output)
  output.mkdir(parents=True, exist_ok=True)
  text = json.dumps(results, indent=1)
  (output / 'input_throughput.json').write_text(text + '\n')
  (output / 'input_throughput.md').write_text(table(results) + '\n')
  print(table(results))


def table(results: Mapping[str, Any]) -> str:
  """The medians as a table of Markdown.

  Args:
    results: as stored.

  Returns:
    A line for each kind of data.
  """
  heads = (
      'training images', 'decoding alone', 'input alone',
      'with a step that takes no time', 'input / decoding',
  )
  lines = [f'| {" | ".join(heads)} |', '|---' * len(heads) + '|']
  for name, found in results['medians'].items():
    cells = [
        '{second:,.0f} ({cpu_second:,.0f})'.format(**found[measure])
        if measure in found else '-'
        for measure in ('decode', 'input', 'steps')
    ]
    ratio = results['ratios'][name].get('input/decode')
    cells.append(f'{ratio:.2f}' if ratio else '-')
    lines.append(f'| {name} | {" | ".join(cells)} |')
  return '\n'.join(lines)


_Rates = dict[str, dict[str, dict[str, float]]]
"""By row and measure, images a 'second' and a 'cpu_second'."""


def _medians(rounds: Sequence[_Rates]) -> _Rates:
  return {
      name: {
          measure: {
              unit: statistics.median(
                  found[name][measure][unit] for found in rounds
              ) for unit in units
          } for measure, units in measures.items()
      } for name, measures in rounds[0].items()
  }


def _ratios(rounds: Sequence[_Rates]) -> dict[str, dict[str, float]]:
  """Of the batches' CPU time, how large a part the others take."""
  return {
      name: {
          f'{batches}/{other}': round(statistics.median(
              found[name][batches]['cpu_second']
              / found[name][other]['cpu_second'] for found in rounds
          ), 3)
          for batches in ('input', 'steps') for other in measures
          if other not in ('steps', batches)
      } for name, measures in rounds[0].items()
  }


def _round(rows: Mapping[str, _Row]) -> _Rates:
  found = {
      name: {
          measure: _rates(make(), row.batch)
          for measure, make in row.measures().items()
      } for name, row in rows.items()
  }
  print(json.dumps(found), flush=True)
  return found


def _rates(batches: Iterator[Any], size: int) -> dict[str, float]:
  for _ in range(_WARM_UP):
    next(batches)
  begun, used, count = time.perf_counter(), time.process_time(), 0
  while time.perf_counter() - begun < _FLAGS.seconds:
    next(batches)
    count += size
  seconds, used = time.perf_counter() - begun, time.process_time() - used
  return {
      'second': round(count / seconds, 1), 'cpu_second': round(count / used, 1)
  }


def _steps(batches: Iterator[Any], dataset: Dataset) -> Iterator[Any]:
  """Trains with a step that takes no time."""
  pace = devices.Pace()
  for batch in devices.prefetch(batches, scaling=dataset.scaling):
    seen = _one_pixel(batch['image'])
    pace.stepped(seen)
    yield seen


@jax.pmap
def _one_pixel(images: jax.Array) -> jax.Array:
  return images[0, 0, 0, 0]


def _in_memory() -> dict[str, _Row]:
  """Embedded images and larger ones, by who augments and what travels."""
  rows = {}
  for where, transfer in (
      ('host', 'float32'), ('host', 'uint8'), ('device', 'uint8')
  ):
    section = _section(augment_on=where, transfer=transfer, image_size=32)
    rows[f'embedded, 32 px, {transfer}, {where} augments'] = _Row(
        load_dataset(section), _SMALL_BATCH, {}
    )
  noise = np.random.default_rng(0).integers(
      0, 256, (_FILES, _SIDE, _SIDE, 3), np.uint8
  )
  splits = dict.fromkeys(
      ('all_train', 'test'), (lambda: noise, np.arange(_FILES) % 2)
  )
  for where in ('host', 'device'):
    section = _section(augment_on=where, image_size=_SIDE, crop_padding=28)
    rows[f'array, {_SIDE} px, uint8, {where} augments'] = _Row(
        ArrayDataset('noise', splits, 2, section), _BATCH, {}
    )
  return rows


def _of_files(
    files: Sequence[bytes], directory: pathlib.Path
) -> dict[str, _Row]:
  """Files in a folder and in records, by what decodes them."""
  cut = {'image_size': _SIDE, 'augmentation': 'resized_crop'}
  preparation = Preparation(_SIDE, 'resized_crop')
  folder = directory / 'folder'
  _write_folder(files, folder)

  def of_folder(decoder: str) -> Dataset:
    return load_dataset(_section(
        source='folder', directory=str(folder), decoder=decoder, **cut
    ))

  rows = {
      f'image folder, {_SIDE} px, uint8, Pillow': _Row(
          of_folder('pillow'), _BATCH,
          {'decode': lambda: _by_pillow(files, preparation)},
      )
  }
  if not importlib.util.find_spec('tensorflow_datasets'):
    return rows
  in_folder = of_folder('tensorflow')  # Keeps TensorFlow off the devices.
  from tools.perf import tensor_input  # noqa: PLC0415

  tensor_input.write_imagenet(files, directory)
  in_records = load_dataset(_section(
      source='tfds', name='imagenet2012', directory=str(directory), **cut
  ))
  decoding = {
      name: functools.partial(tensor_input.decoded, files, _BATCH, decode)
      for name, decode in tensor_input.decoders(preparation).items()
  }
  return rows | {
      f'image folder, {_SIDE} px, uint8, TensorFlow': _Row(
          in_folder, _BATCH, {'decode': decoding['decode']}
      ),
      f'TFDS, {_SIDE} px, uint8, TensorFlow': _Row(
          in_records, _BATCH, decoding
      ),
  }


def _section(**fields: Any) -> ConfigDict:
  section = default.get_config().data
  section.update({'transfer': 'uint8', **fields})
  return section


def _by_pillow(
    files: Sequence[bytes], preparation: Preparation
) -> Iterator[None]:
  """Decodes files in a fixed order on all cores; a batch an item."""
  keys = np.random.default_rng(0).integers(2**63, size=(len(files), 3))

  def decode(number: int) -> None:
    pillow_images.augment(files[number], preparation, keys[number])

  pool = concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))
  try:
    waiting = collections.deque()
    for number in itertools.count(1):
      waiting.append(pool.submit(decode, number % len(files)))
      if len(waiting) > 2 * _BATCH:
        waiting.popleft().result()
        if number % _BATCH == 0:
          yield
  finally:
    pool.shutdown(cancel_futures=True)


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


def _write_folder(files: Sequence[bytes], directory: pathlib.Path) -> None:
  """Writes files as an image folder, of two classes."""
  for split, chosen in (('train', files), ('test', files[:2])):
    for number, file in enumerate(chosen):
      path = directory / split / 'ab'[number % 2] / f'{number}.jpg'
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(file)


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
