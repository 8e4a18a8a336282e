"""Exported files: run by their own runtimes, held against the Flax module."""

import json
import pathlib

import jax
import numpy as np
import pytest

from layernas.export.files import open_model
from layernas.export.formats import FORMATS
from layernas.export.formats import export_model
from layernas.export.model import Model
from layernas.export.preprocessing import Preprocessing
from layernas.latency.stopwatch import random_variables
from layernas.networks.registry import make_space
from tests import tiny
from tests.search import problems

_NEEDS = {
    'stablehlo': 'jax', 'onnx': 'onnxruntime', 'tflite': 'litert_converter',
}


def _model(space='cifar10_small', **preprocessing):
  made = make_space(space)
  config = tiny.get_config()
  network = made.network(made.search_space.default)
  model = Model({
      'format': 1, 'network': network.to_dict(),
      'classes': {'number': 10, 'names': [f'class {i}' for i in range(10)]},
      'preprocessing': Preprocessing(32, **preprocessing).to_dict(),
      'metrics': {}, 'config': {
          name: config[name].to_dict() for name in ('data', 'model', 'training')
      },
  }, {})
  variables = random_variables(model.flax, np.zeros((1, 32, 32, 3), np.float32))
  rng = np.random.default_rng(0)
  model.variables = jax.tree.map(
      lambda leaf: leaf * rng.uniform(0.8, 1.2, leaf.shape).astype(np.float32),
      variables,
  )
  return model


@pytest.mark.parametrize('takes', ['float32', 'uint8'])
@pytest.mark.parametrize('name', list(FORMATS))
def test_files_do_what_the_module_does(
    tmp_path: pathlib.Path, name: str, takes: str
) -> None:
  pytest.importorskip(_NEEDS[name])
  model = _model()
  found = export_model(model, [name], tmp_path, takes)[name]
  scale = np.abs(model.logits(np.zeros((1, 32, 32, 3), np.uint8))).max()
  assert found['difference'] <= 1e-4 * max(scale, 1)
  assert found['agreement'] == 1
  assert found['milliseconds'] > 0
  assert found['bytes'] == (tmp_path / f'model.{name}').stat().st_size
  parameters = sum(map(np.size, jax.tree.leaves(model.variables['params'])))
  assert found['bytes'] < 4.1 * parameters + 20_000
  opened = open_model(tmp_path / f'model.{name}')
  assert opened.takes == takes
  assert opened.class_names[3] == 'class 3'
  images = np.random.default_rng(1).integers(0, 256, (3, 40, 50, 3), np.uint8)
  np.testing.assert_allclose(
      opened.predict(images), model.predict(images), atol=1e-4
  )
  assert (tmp_path / 'labels.txt').read_text().splitlines()[3] == 'class 3'
  assert json.loads((tmp_path / 'check.json').read_text())[name] == found


def test_channels_are_scaled_each_by_its_own(tmp_path: pathlib.Path) -> None:
  pytest.importorskip('onnxruntime')
  from layernas.data.dataset import Scaling

  scaling = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
  model = _model(scaling=scaling)
  found = export_model(model, ['stablehlo', 'onnx'], tmp_path, 'uint8')
  for one in found.values():
    assert one['difference'] < 1e-3
    assert one['agreement'] == 1


def test_flax_modules_are_stablehlo_alone(tmp_path: pathlib.Path) -> None:
  model = _model('tests.networks.flax_spaces:space')
  found = export_model(model, ['stablehlo'], tmp_path)
  assert found['stablehlo']['difference'] < 1e-4
  with problems.refuses('export: onnx', 'stablehlo'):
    export_model(model, ['onnx'], tmp_path)


@pytest.mark.parametrize(('arguments', 'parts'), [
    ((['coreml'],), ["'coreml'", 'stablehlo']),
    ((['onnx'], 'int4'), ["'int4'", 'uint8']),
])
def test_wrong_arguments_write_nothing(tmp_path, arguments, parts):
  formats, *takes = arguments
  with problems.refuses('export', *parts):
    export_model(_model(), formats, tmp_path / 'a', *takes)
  assert not (tmp_path / 'a').exists()


@pytest.mark.parametrize('name', ['onnx', 'tflite', 'stablehlo'])
def test_what_cannot_be_opened_is_one_line(tmp_path, name):
  with problems.refuses(f'model.{name}', 'no such file'):
    open_model(tmp_path / f'model.{name}')
  (tmp_path / f'model.{name}').write_bytes(b'nothing')
  with problems.refuses(f'model.{name}'):
    open_model(tmp_path / f'model.{name}')
