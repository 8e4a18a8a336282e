"""Exported files: run by their own runtimes, held against the Flax module."""

import json
import pathlib

import jax
import numpy as np
import pytest

from layernas.export.files import open_model
from layernas.export.formats import FORMATS
from layernas.export.formats import Images
from layernas.export.formats import export_model
from layernas.export.model import Model
from layernas.export.preprocessing import Preprocessing
from layernas.networks.registry import make_space
from tests import tiny
from tests.search import problems
from tools.perf.random_weights import random_weights

_NEEDS = {
    'stablehlo': 'jax', 'onnx': 'onnxruntime', 'onnx_int8': 'onnxruntime',
    'tflite': 'litert_converter', 'tflite_int8': 'ai_edge_quantizer',
    'saved_model': 'tensorflow',
}
_FLOAT = [name for name in FORMATS if not name.endswith('int8')]
# These trace the module, or import TensorFlow.
_SLOW = [
    ('stablehlo', 'float32'), ('saved_model', 'float32'),
    ('saved_model', 'uint8'),
]
_INT8 = [name for name in FORMATS if name.endswith('int8')]


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
  model.variables = random_weights(model.flax, 32)
  return model


@pytest.mark.parametrize(('name', 'takes'), [
    pytest.param(name, takes, marks=pytest.mark.long)
    if (name, takes) in _SLOW else (name, takes)
    for name in _FLOAT for takes in ('float32', 'uint8')
])
def test_files_do_what_the_module_does(
    tmp_path: pathlib.Path, name: str, takes: str
) -> None:
  pytest.importorskip(_NEEDS[name])
  model = _model()
  found = export_model(model, [name], tmp_path, takes)['formats'][name]
  file = tmp_path / found['file']
  scale = np.abs(model.logits(np.zeros((1, 32, 32, 3), np.uint8))).max()
  assert found['difference'] <= 1e-4 * max(scale, 1)
  assert found['agreement'] == 1
  assert found['milliseconds'] > 0
  assert found['bytes'] == sum(
      one.stat().st_size for one in (file, *file.rglob('*')) if one.is_file()
  )
  parameters = sum(map(np.size, jax.tree.leaves(model.variables['params'])))
  # SavedModel comes with TensorFlow's own graph.
  assert found['bytes'] < 4.1 * parameters + (
      60_000 if name == 'saved_model' else 20_000
  )
  opened = open_model(file)
  assert opened.takes == takes
  assert opened.class_names[3] == 'class 3'
  images = np.random.default_rng(1).integers(0, 256, (3, 40, 50, 3), np.uint8)
  np.testing.assert_allclose(
      opened.predict(images), model.predict(images), atol=1e-4
  )
  assert (tmp_path / 'labels.txt').read_text().splitlines()[3] == 'class 3'
  assert json.loads((tmp_path / 'check.json').read_text())['formats'] == {
      name: found
  }


@pytest.mark.long
def test_channels_are_scaled_each_by_its_own(tmp_path: pathlib.Path) -> None:
  pytest.importorskip('onnxruntime')
  from layernas.data.dataset import Scaling

  scaling = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
  model = _model(scaling=scaling)
  found = export_model(model, ['stablehlo', 'onnx'], tmp_path, 'uint8')
  for one in found['formats'].values():
    assert one['difference'] < 1e-3
    assert one['agreement'] == 1


def test_of_flax_modules_onnx_alone_fails_and_others_are_written(
    tmp_path: pathlib.Path
) -> None:
  model = _model('tests.networks.flax_spaces:space')
  found = export_model(model, ['onnx', 'stablehlo'], tmp_path)
  assert found['formats']['stablehlo']['difference'] < 1e-4
  assert found['failed'].keys() == {'onnx'}
  assert 'no inference graph' in found['failed']['onnx']


@pytest.mark.parametrize('name', [
    'stablehlo', pytest.param('saved_model', marks=pytest.mark.long),
])
def test_a_module_of_batches_of_one_size_is_one_line(
    tmp_path: pathlib.Path, name: str
) -> None:
  pytest.importorskip(_NEEDS[name])
  model = _model('tests.networks.flax_spaces:one_by_one')
  found = export_model(model, [name], tmp_path)
  assert not found['formats']
  assert found['failed'][name].startswith(f'export: {name}: ')
  assert 'batches of any size' in found['failed'][name]


@pytest.mark.parametrize('name', ['tflite', 'saved_model'])
def test_flax_modules_as_what_takes_any_program(
    tmp_path: pathlib.Path, name: str
) -> None:
  pytest.importorskip(_NEEDS[name])
  model = _model('tests.networks.flax_spaces:space')
  found = export_model(model, [name], tmp_path)
  assert found['formats'][name]['difference'] < 1e-4


@pytest.mark.parametrize('takes', [
    pytest.param('float32', marks=pytest.mark.long), 'uint8',
])
@pytest.mark.parametrize('name', _INT8)
def test_integers_are_small_and_near(
    tmp_path: pathlib.Path, name: str, takes: str
) -> None:
  pytest.importorskip(_NEEDS[name])
  model = _model()
  rng = np.random.default_rng(0)
  test, training = (
      rng.integers(0, 256, (count, 32, 32, 3), np.uint8) for count in (50, 20)
  )
  both = [name.removesuffix('_int8'), name]
  labels = model.logits(test).argmax(axis=1)
  found = export_model(
      model, both, tmp_path, takes, Images(test, labels, training)
  )
  whole, small = (found['formats'][one] for one in both)
  assert small['bytes'] < 0.6 * whole['bytes']
  spread = np.std(model.logits(test))
  assert whole['difference'] < 1e-3 < small['difference'] < spread
  assert found['accuracy'] == whole['accuracy'] == 1
  assert small['accuracy'] == small['agreement'] > 0.8
  assert open_model(tmp_path / small['file']).takes == takes


@pytest.mark.parametrize('name', _INT8)
def test_integers_need_training_images(tmp_path: pathlib.Path, name: str):
  found = export_model(_model(), [name], tmp_path)
  assert 'training images' in found['failed'][name]


@pytest.mark.parametrize(('arguments', 'parts'), [
    ((['coreml'],), ["'coreml'", 'stablehlo']),
    (([],), ['no format', 'stablehlo']),
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
