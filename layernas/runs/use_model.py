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
from PIL import ImageOps
from rich import box
from rich.table import Table

from layernas.data.dataset import Dataset
from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.export.files import open_model
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

# Test images that exported files are compared on.
_COMPARED = 200


def read_image(path: str) -> Image.Image:
  """Reads an image file, upright.

  Args:
    path: of any format that Pillow knows; local, or gs://BUCKET/PATH.

  Returns:
    The image, RGB.

  Raises:
    UserError: there is none, or it is damaged.
  """
  file_store(path).check(epath.Path(path))
  try:
    with epath.Path(path).open('rb') as file:
      return ImageOps.exif_transpose(Image.open(file)).convert('RGB')
  except (OSError, ValueError, SyntaxError) as error:
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
  probabilities = model.predict([read_image(path) for path in images])
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
  dataset = _dataset(opened, folder)
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


def _dataset(model: Classifier, folder: str = '') -> Dataset:
  """Data with images of the type that a model takes."""
  section = model.config.data.copy_and_resolve_references().unlock()
  if model.takes == np.uint8:
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
    UserError: the model cannot be read, or does not fit a format.
  """
  loaded = load_model(model)
  directory = epath.Path(output or f'{model.rstrip("/")}/../export').resolve()
  begun = time.monotonic()
  found = export_model(
      loaded, formats, directory, takes, _test_images(loaded)
  )
  _write_card(loaded, found, directory, takes)
  console = new_console()
  console.print(_table(found))
  console.print(
      f'{time.monotonic() - begun:.0f} s; files: {directory}/labels.txt,'
      f' README.md, check.json, {", ".join(f"model.{name}" for name in found)}'
  )
  return found


def _test_images(model: Model) -> np.ndarray | None:
  """Pixels of the first test images; None where they cannot be had."""
  section = model.config.data.copy_and_resolve_references().unlock()
  section.transfer = 'uint8'
  try:
    dataset = load_dataset(section)
  except UserError as error:
    new_console().print(f'compared on random images, for {error}')
    return None
  count = min(_COMPARED, dataset.num_examples('test'))
  return next(iter(dataset.evaluation_batches('test', count)))['image']


def _table(found: Mapping[str, Any]) -> Table:
  table = Table(title='exported, against the Flax module', box=box.SIMPLE)
  for heading in ('file', 'bytes', 'logits differ by', 'same class',
                  'ms an image'):
    table.add_column(heading, justify='left' if heading == 'file' else 'right')
  for name, one in found.items():
    table.add_row(
        f'model.{name}', f'{one["bytes"]:,}', f'{one["difference"]:.1e}',
        f'{one["agreement"]:.1%} of {one["images"]}',
        f'{one["milliseconds"]:.2f}',
    )
  return table


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
  rows = '\n'.join(
      f'| model.{name} | {one["bytes"]:,} | {one["difference"]:.1e} |'
      f' {one["agreement"]:.1%} | {one["milliseconds"]:.2f} |'
      for name, one in found.items()
  )
  metrics = ', '.join(
      f'{name} {value:.4f}' for name, value in model.metrics.items()
  )
  (directory / 'README.md').write_text(f"""# Image classifier

Found and trained by layernas {facts['versions']['layernas']}.

- Input `image`: (batch, {size}, {size}, 3), RGB, channels last; {pixels}.
- Output `logits`: (batch, {model.num_classes}), in the order of labels.txt.
- Trained on {data['name'] or data['source']}, seed {facts['seed']}; measured
  then: {metrics}.

| file | bytes | logits differ from Flax by | same class | ms an image |
|---|---:|---:|---:|---:|
{rows}

Milliseconds are those of the machine that exported. model.json has network,
recipe, preprocessing and versions.
""")
