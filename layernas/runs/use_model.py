"""What people do with a trained model: predict, validate, export."""

import csv
import json
import sys
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath
from PIL import Image
from rich import box
from rich.table import Table

from layernas import activity
from layernas.data import pillow_images
from layernas.data.dataset import Dataset
from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.export.files import open_model
from layernas.export.formats import Images
from layernas.export.formats import export_model
from layernas.export.model import Classifier
from layernas.export.model import Model
from layernas.export.model import load_model
from layernas.export.validation import validate
from layernas.export.validation import validate_anything
from layernas.reports.console import new_console
from layernas.storage.files import file_store

# Classes that are shown of each image.
_SHOWN = 5

# Test images that exported files are compared on, and training images that
# integers are fitted to: so many at most, fewer of many pixels.
_COMPARED, _COMPARED_PIXELS = 2000, 10_000_000
_FITTED, _FITTED_PIXELS = 500, 1_600_000

# Accuracy that a file may lose without a warning.
_TOO_MUCH = 0.01


def read_image(path: str, bits: int = 0) -> Image.Image:
  """Reads an image file, upright.

  Args:
    path: of any format that Pillow knows; local, or gs://BUCKET/PATH. Of more
      than 8 bits a value are PNG files alone.
    bits: that values of 16-bit files use, see `data.preparation.Preparation`.

  Returns:
    The image, RGB.

  Raises:
    UserError: there is none, or it is damaged.
  """
  file_store(path).check(epath.Path(path))
  try:
    return pillow_images.whole(epath.Path(path).read_bytes(), bits)
  except Exception as error:  # Pillow's decoders raise whatever they like.
    raise UserError(
        f'image {path}: {error}; allowed are image files'
    ) from error


def predict(model: str, images: Sequence[str], as_json: bool = False) -> None:
  """Prints the likeliest classes of images.

  Args:
    model: a model directory or an exported file.
    images: paths.
    as_json: prints a JSON list in place of a table.

  Raises:
    UserError: one of them cannot be read.
  """
  opened = open_model(model)
  rows = top_classes(opened, images)
  if as_json:
    print(json.dumps(rows, indent=2))
    return
  table = Table(box=box.SIMPLE)
  for heading in ('image', 'class', 'probability'):
    table.add_column(heading, justify='right' if heading == 'probability' else
                     'left')
  for row in rows:
    for place, one in enumerate(row['classes']):
      table.add_row(
          '' if place else row['image'], one['name'],
          f'{one["probability"]:.4f}',
      )
  new_console().print(table)


def top_classes(
    model: Classifier, images: Sequence[str]
) -> list[dict[str, Any]]:
  """The likeliest classes of images.

  Args:
    model: that is asked.
    images: paths.

  Returns:
    For each image its path and five classes at most: name, number and
    probability, the likeliest first.

  Raises:
    UserError: an image cannot be read.
  """
  bits = model.config.data.get('bits', 0)
  read = [read_image(path, bits) for path in images]
  with activity.doing('classifying the images'):
    probabilities = model.predict(read)
  rows = []
  for path, shares in zip(images, probabilities, strict=True):
    best = np.argsort(-shares, kind='stable')[:_SHOWN]
    rows.append({
        'image': path, 'classes': [
            {
                'name': model.class_names[label], 'number': label,
                'probability': float(shares[label]),
            }
            for label in best.tolist()
        ],
    })
  return rows


def run_validate(
    model: str, folder: str = '', as_csv: bool = False
) -> dict[str, Any]:
  """Evaluates a model and prints what came out.

  Args:
    model: a model directory or an exported file.
    folder: an image folder whose test images are taken; '' is the data set of
      the training.
    as_csv: prints a line with its headings in place of a table.

  Returns:
    Metrics, 'images' and 'images_per_second'.

  Raises:
    UserError: the model or the data cannot be read, or do not fit.
  """
  opened = open_model(model)
  dataset = _dataset(opened, opened.takes == np.uint8, folder)
  found = (
      validate(opened, dataset) if isinstance(opened, Model)
      else validate_anything(opened, dataset)
  )
  if as_csv:
    writer = csv.writer(sys.stdout, lineterminator='\n')
    writer.writerow(['model', 'data', *found])
    writer.writerow([model, dataset.name, *found.values()])
    return found
  table = Table(title=f'{model} on {dataset.name}, test', box=box.SIMPLE,
                show_header=False)
  for name, value in found.items():
    table.add_row(name.replace('_', ' '), _figure(name, value))
  new_console().print(table)
  return found


def _figure(name: str, value: float) -> str:
  return f'{value:,.0f}' if name.startswith('images') else f'{value:.5f}'


def _dataset(
    model: Classifier, as_bytes: bool, folder: str = ''
) -> Dataset:
  """Data of a model's training, or of a folder of the same classes."""
  section = model.config.data.copy_and_resolve_references().unlock()
  # Batches are taken as they are, and a folder's images are not in memory.
  section.augment_on = 'host'
  if as_bytes:
    section.transfer = 'uint8'
  if folder:
    section.source, section.directory = 'folder', folder
  dataset = load_dataset(section)
  names = model.facts['classes']['names']
  if folder and names and list(dataset.class_names or ()) != names:
    raise UserError(
        f'folder {folder}: its classes are {list(dataset.class_names or ())},'
        f' those of the model {names}; allowed are the same'
    )
  return dataset


def run_export(
    model: str, formats: Sequence[str], output: str, takes: str
) -> dict[str, Any]:
  """Writes a model in other formats and prints how they compare.

  Args:
    model: a model directory.
    formats: keys of `formats.FORMATS`.
    output: directory; '' is export/ beside the model directory.
    takes: type of the images, see `formats.INPUTS`.

  Returns:
    Content of check.json.

  Raises:
    UserError: the model cannot be read, or a format cannot hold it; the others
      are written.
  """
  loaded = load_model(model)
  directory = epath.Path(output or f'{model.rstrip("/")}/../export').resolve()
  console, begun = new_console(), time.monotonic()
  with activity.doing('reading images'):
    images = _images(loaded, any(name.endswith('int8') for name in formats))
  found = export_model(loaded, formats, directory, takes, images)
  _write_card(loaded, found, directory, takes)
  console.print(_table(found))
  for name, one in found['formats'].items():
    lost = _lost(found, one)
    if lost > _TOO_MUCH:
      console.print(
          f'warning: {one["file"]}: {100 * lost:.1f} points of accuracy are'
          f' lost; without {name} in --formats it is not written'
      )
  console.print(
      f'{time.monotonic() - begun:.0f} s; files in {directory}: labels.txt,'
      ' README.md, check.json, '
      + ', '.join(one['file'] for one in found['formats'].values())
  )
  if found['failed']:
    raise UserError('; '.join(found['failed'].values()))
  return found


def _images(model: Model, with_training: bool) -> Images | None:
  """Pixels of the first test images, and some of training if they are needed.

  Returns:
    None where the data of the training cannot be had.
  """
  try:
    dataset = _dataset(model, as_bytes=True)
  except UserError as error:
    new_console().print(f'compared on random images, for {error}')
    return None
  pixels = dataset.image_size ** 2
  count = min(
      dataset.num_examples('test'), _COMPARED,
      max(_COMPARED_PIXELS // pixels, 200),
  )
  test = next(iter(dataset.evaluation_batches('test', count)))
  if not with_training:
    return Images(test['image'], test['label'])
  count = min(
      dataset.num_examples('train'), _FITTED, max(_FITTED_PIXELS // pixels, 32)
  )
  training = next(iter(dataset.train_batches('train', count, seed=0)))
  return Images(test['image'], test['label'], training['image'])


def _table(found: Mapping[str, Any]) -> Table:
  title = f'exported, on {found["images"]:,} images'
  if found['accuracy'] is not None:
    title += f'; Flax: {found["accuracy"]:.1%} right'
  table = Table(title=title, box=box.SIMPLE)
  for heading in ('file', 'bytes', 'logits differ by', 'same class',
                  'accuracy', 'ms an image'):
    table.add_column(
        heading, no_wrap=heading == 'file',
        justify='left' if heading == 'file' else 'right',
    )
  for cells in table_rows(found):
    table.add_row(*cells)
  return table


def table_rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
  """What was measured, as text.

  Args:
    found: content of check.json.

  Returns:
    Cells of a row for each file.
  """
  return [
      (
          one['file'], f'{one["bytes"]:,}', f'{one["difference"]:.1e}',
          f'{one["agreement"]:.1%}',
          '-' if one['accuracy'] is None else f'{one["accuracy"]:.2%}',
          f'{one["milliseconds"]:.2f}',
      )
      for one in found['formats'].values()
  ]


def _lost(found: Mapping[str, Any], one: Mapping[str, Any]) -> float:
  """Accuracy that a file has lost; 0 where it is not known."""
  if found['accuracy'] is None:
    return 0.0
  return found['accuracy'] - one['accuracy']


def _write_card(
    model: Model, found: Mapping[str, Any], directory: epath.Path, takes: str
) -> None:
  """README.md of the files: what they are and what they were measured at."""
  facts, size = model.facts, model.preprocessing.size
  data = facts['config']['data']
  pixels = 'bytes, 0 to 255' if takes == 'uint8' else (
      f'floating-point numbers, (pixel / 255 - mean) / deviation with mean'
      f' {list(model.preprocessing.scaling.mean)} and deviation'
      f' {list(model.preprocessing.scaling.deviation)}'
  )
  rows = '\n'.join(f'| {" | ".join(cells)} |' for cells in table_rows(found))
  metrics = ', '.join(
      f'{name} {value:.4f}' for name, value in model.metrics.items()
  )
  flax = (
      '' if found['accuracy'] is None
      else f', of which Flax has {found["accuracy"]:.2%} right'
  )
  (directory / 'README.md').write_text(f"""# Image classifier

Found and trained by layernas {facts['versions']['layernas']}.

- Input `image`: (batch, {size}, {size}, 3), RGB, channels last; {pixels}.
- Output `logits`: (batch, {model.num_classes}), in the order of labels.txt.
- Trained on {data['name'] or data['source']}, seed {facts['seed']}; measured
  then on all test images: {metrics}.

Against the Flax module, on {found['images']:,} images{flax}:

| file | bytes | logits differ by | same class | accuracy | ms an image |
|---|---:|---:|---:|---:|---:|
{rows}

Files of 8-bit integers were fitted to training images alone. TFLite files take
one image at a time, the others any number. Milliseconds are those of the
machine that exported. model.json has network, recipe, preprocessing and
versions.
""")
