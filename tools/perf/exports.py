"""Exports networks with random weights and holds the files against Flax.

  .venv/bin/python tools/perf/exports.py
  .venv/bin/python tools/perf/exports.py --report

Every published network with the images that it was published for, and random
networks of every space with small ones: what is compared is the arithmetic,
which no size changes. Weights are of ordinary size and no norm is the identity.
For each network a line of exports.jsonl; the same command goes on with those
that are missing, and prints the table. The converters must be installed:

  .venv/bin/pip install onnx onnxruntime litert-converter==0.5.0 ai-edge-litert
"""

import json
import pathlib
import random
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from configs import default
from layernas.errors import UserError
from layernas.export.formats import FORMATS
from layernas.export.formats import Images
from layernas.export.formats import export_model
from layernas.export.model import VERSION
from layernas.export.model import Model
from layernas.export.preprocessing import Preprocessing
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.spec import NetworkSpec
from layernas.runs import cli
from layernas.search.space import architecture_id
from tools.perf import json_lines
from tools.perf.machine import machine
from tools.perf.random_weights import random_weights

COMPARED = ('stablehlo', 'onnx', 'tflite')
"""Formats, all of floating-point numbers."""

# Pixels: of published networks, of spaces for ImageNet, of the others.
_PUBLISHED, _LARGE, _SMALL = 224, 64, 32

_IMAGES = 200
_CLASSES = 1000


def networks(count: int) -> Iterator[tuple[str, NetworkSpec, int]]:
  """What is exported.

  Args:
    count: random networks of each space.

  Yields:
    Name, network and side of its images.
  """
  for name, network in REFERENCE_NETWORKS.items():
    yield name, network, _PUBLISHED
  for name, make in SPACES.items():
    space, rng = make(), random.Random(0)
    size = _SMALL if name.startswith('cifar10') else _LARGE
    for _ in range(count):
      one = tuple(map(rng.randrange, space.search_space.option_counts))
      yield f'{name} {architecture_id(one)}', space.network(one), size


def model_of(network: NetworkSpec, size: int) -> Model:
  """A model whose weights are random.

  Args:
    network: its shape.
    size: side of its images.

  Returns:
    The model.
  """
  config = default.get_config()
  model = Model({
      'format': VERSION, 'network': network.to_dict(),
      'classes': {'number': _CLASSES, 'names': None},
      'preprocessing': Preprocessing(size).to_dict(), 'metrics': {},
      'config': {
          name: config[name].to_dict() for name in ('model', 'training')
      },
  }, {})
  model.variables = random_weights(model.flax, size)
  return model


def measured(name: str, network: NetworkSpec, size: int) -> dict[str, Any]:
  """Exports a network.

  Args:
    name: of it.
    network: its shape.
    size: side of its images.

  Returns:
    A line of exports.jsonl: for each format bytes, bytes a parameter, 'share'
    (the largest difference of a logit by the largest logit), 'agreement' and
    'seconds' of writing.
  """
  model = model_of(network, size)
  rng = np.random.default_rng(1)
  images = rng.integers(0, 256, (_IMAGES, size, size, 3), np.uint8)
  largest = float(np.abs(model.logits(images)).max())
  parameters = network.counts(size, _CLASSES).params
  line = {'network': name, 'image_size': size, 'parameters': parameters}
  for kind in COMPARED:
    with tempfile.TemporaryDirectory() as directory:
      found = export_model(model, [kind], directory, images=Images(images))
    if found['failed']:
      raise UserError(f'{name}: {found["failed"]}')
    one = found['formats'][kind]
    line[kind] = {
        'bytes': one['bytes'],
        'bytes_a_parameter': round(one['bytes'] / parameters, 3),
        'share': one['difference'] / max(largest, 1),
        'agreement': one['agreement'],
        'seconds': one['seconds'],
    }
  return line


def report_text(lines: Sequence[Mapping[str, Any]]) -> str:
  """The table of the docs.

  Args:
    lines: of exports.jsonl.

  Returns:
    Markdown without a newline at the end; of each format the worst network.
  """
  rows = [
      f'{len(lines)} networks, {_IMAGES} images each; of each column the worst'
      ' network.', '',
      '| file | logits differ by, of the largest | same class | bytes a'
      ' parameter, published networks | all networks | seconds to write'
      ' MobileNetV3-Large |',
      '|---|---:|---:|---:|---:|---:|',
  ]
  # Those that a run had come to when it was interrupted.
  large = [line for line in lines if line['network'] == 'mobilenet_v3_large']
  for kind in COMPARED:
    found = [line[kind] for line in lines]
    published = [
        line[kind]['bytes_a_parameter'] for line in lines
        if line['network'] in REFERENCE_NETWORKS
    ]
    rows.append(
        f'| {FORMATS[kind].file} | {max(one["share"] for one in found):.1e} |'
        f' {min(one["agreement"] for one in found):.1%} |'
        f' {max(published):.2f} |'
        f' {max(one["bytes_a_parameter"] for one in found):.2f} | '
        + (f'{large[0][kind]["seconds"]:.1f} |' if large else '- |')
    )
  return '\n'.join(rows)


_FLAGS = flags.FLAGS


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  json_lines.define_result_flags('exports')
  flags.DEFINE_integer('networks', 10, 'Random networks of each space.', 1)


def main() -> None:
  """Does the networks that are missing and prints the table."""
  folder = pathlib.Path(_FLAGS.output)
  lines = json_lines.Lines(folder / 'exports.jsonl')
  if not _FLAGS.report:
    done = {line['network'] for line in lines.all}
    for name, network, size in networks(_FLAGS.networks):
      if name not in done:
        lines.add(measured(name, network, size))
        print(lines.all[-1], flush=True)
        jax.clear_caches()
    (folder / 'machine.json').write_text(
        json.dumps(machine(jax=jax.__version__), indent=1) + '\n'
    )
  if not lines.all:
    raise UserError(f'{folder}: no network; run without --report first')
  print(report_text(lines.all))


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
