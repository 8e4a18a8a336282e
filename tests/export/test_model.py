"""Model directories: written by a final training, read back, used."""

import functools
import json
import pathlib

import jax
import ml_dtypes
import numpy as np
import pytest
from PIL import Image

from layernas.data.registry import load_dataset
from layernas.errors import UserError
from layernas.export import validation
from layernas.export.model import Model
from layernas.export.model import load_model
from layernas.export.model import save_model
from layernas.export.preprocessing import Preprocessing
from layernas.export.validation import validate
from layernas.runs.final import read_architecture
from layernas.runs.final import run_final
from tests import tiny
from tests.search import problems
from tests.training import small


@pytest.fixture(scope='module', name='run')
def _run(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """A final training with an average, and without any checkpoint."""
  directory = tmp_path_factory.mktemp('run')
  config = tiny.changed(**{
      'reference.seeds': 1, 'final.ema_decay': 0.9,
      'final.checkpoint_every_steps': 0,
  })
  run_final(
      config, read_architecture(str(tiny.result_file(directory))),
      directory / 'final',
  )
  return directory / 'final' / 'winner' / 'seed0'


def test_a_reloaded_model_has_the_metrics_of_its_training(run):
  metrics = json.loads((run / 'metrics.json').read_text())
  model = load_model(run / 'model')
  assert model.metrics == metrics
  found = validate(model, load_dataset(model.config.data))
  for name in ('accuracy', 'top5'):
    assert found[name] == metrics[name]
  assert found['loss'] == pytest.approx(metrics['loss'], abs=1e-6)
  assert found['images'] == 2000
  assert found['images_per_second'] > 0


@pytest.mark.long
def test_predictions_are_those_of_the_module(run):
  model = load_model(str(run / 'model'))
  dataset = load_dataset(model.config.data)
  batch = next(dataset.evaluation_batches('test', 20))
  apply = jax.jit(functools.partial(model.flax.apply, train=False))
  logits = apply(model.variables, batch['image'])
  pixels = np.rint((batch['image'] + 1) * 127.5).astype(np.uint8)
  np.testing.assert_allclose(model.logits(pixels), logits, atol=1e-5)
  shares = model.predict(pixels)
  np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
  assert (shares.argmax(axis=1) == np.argmax(logits, axis=1)).all()
  # One image, floating-point numbers, Pillow, several sizes.
  same = [
      pixels[0], pixels[:1], pixels[0] / 255.0, Image.fromarray(pixels[0]),
      [pixels[0]],
  ]
  for images in same:
    np.testing.assert_allclose(model.predict(images), shares[:1], atol=1e-5)
  large = np.asarray(Image.fromarray(pixels[1]).resize((40, 30)))
  assert model.predict([large, pixels[0]]).shape == (2, 10)
  assert model.predict(pixels[:0]).shape == (0, 10)
  assert model.class_names[0] == 'airplane'


def test_files_are_plain(run):
  facts = json.loads((run / 'model' / 'model.json').read_text())
  assert facts['average'] is True
  assert facts['seed'] == 0
  assert facts['config']['training']['ema_decay'] == 0.9
  assert facts['preprocessing']['size'] == 16
  assert set(facts['digests']) == {'weights', 'data'}
  assert sorted(path.name for path in (run / 'model').iterdir()) == [
      'model.json', 'model.safetensors'
  ]


def _facts(**changes):
  return {
      'network': tiny.space().network((0, 0, 0)).to_dict(),
      'classes': {'number': 10, 'names': None},
      'preprocessing': Preprocessing(16).to_dict(), 'metrics': {},
      'config': {}, **changes,
  }


def test_collections_and_types_come_back(tmp_path):
  variables = {
      'params': {'a': {
          'kernel': np.ones((2, 3), np.float32),
          'bias': np.array([0.5, -3], ml_dtypes.bfloat16),
      }},
      'counts': {'steps': np.array(7, np.int32), 'none': np.zeros((0, 2))},
  }
  save_model(tmp_path / 'm', variables, _facts())
  model = load_model(tmp_path / 'm')
  assert jax.tree.map(lambda leaf: (leaf.dtype, leaf.shape), variables) == (
      jax.tree.map(lambda leaf: (leaf.dtype, leaf.shape), model.variables)
  )
  jax.tree.map(np.testing.assert_array_equal, variables, model.variables)
  assert model.class_names == tuple(map(str, range(10)))


def _without_facts(path):
  (path / 'model.json').unlink()


def _other_version(path):
  facts = json.loads((path / 'model.json').read_text())
  (path / 'model.json').write_text(json.dumps(facts | {'format': 99}))


def _almost_empty(path):
  (path / 'model.json').write_text(json.dumps({'format': 1, 'classes': {}}))


def _without_scaling(path):
  facts = json.loads((path / 'model.json').read_text())
  del facts['preprocessing']['scaling']
  (path / 'model.json').write_text(json.dumps(facts))


def _with(**changes):
  def damage(path):
    facts = json.loads((path / 'model.json').read_text()) | changes
    (path / 'model.json').write_text(json.dumps(facts))
  return damage


def _cut(path):
  data = (path / 'model.safetensors').read_bytes()
  (path / 'model.safetensors').write_bytes(data[:-4])


def _changed(path):
  data = bytearray((path / 'model.safetensors').read_bytes())
  data[-1] ^= 1
  (path / 'model.safetensors').write_bytes(data)


@pytest.mark.parametrize(('damage', 'parts'), [
    (_without_facts, ['no model.json']),
    (_other_version, ['another program or version', 'format 1']),
    (_almost_empty, ['model.json lacks network', 'preprocessing, metrics']),
    (_without_scaling, ['model.json is damaged']),
    (_with(classes='x'), ['model.json is damaged']),
    (_with(classes={'number': 3, 'names': ['a']}), ['1 names of 3 classes']),
    (_with(input='bytes of'), ['model.json is damaged']),
    (_with(config=3), ['model.json is damaged']),
    (_with(network=3), ['model.json is damaged']),
    (_cut, ['model.safetensors']),
    (_changed, ['model.safetensors', 'not the file']),
])
def test_damaged_models_are_one_line(tmp_path, damage, parts):
  save_model(tmp_path, {'params': {'a': np.ones(3, np.float32)}}, _facts())
  damage(tmp_path)
  with problems.refuses(f'model {tmp_path}', *parts):
    load_model(tmp_path)


@pytest.mark.parametrize(('images', 'parts'), [
    (np.zeros((16, 16)), ['(16, 16)', '(height, width, 3)']),
    (np.full((1, 16, 16, 3), 2.0), ['0 to 1', '2']),
    (np.zeros((16, 16, 3), np.int64), ['int64', 'uint8']),
    ('cat.png', ['str']),
    ([np.full((4, 4, 3), np.nan)], ['nan']),
])
def test_what_is_no_image_is_one_line(images, parts):
  with problems.refuses('images', *parts):
    Model(_facts(), {}).predict(images)


def test_any_number_of_devices_validates(monkeypatch):
  sizes = []

  def evaluate(step, variables, dataset, split, batch_size):
    sizes.append(batch_size)
    return {}

  monkeypatch.setattr(validation, 'evaluate', evaluate)
  monkeypatch.setattr(jax, 'device_count', lambda: 3)
  config = small.get_config()
  facts = _facts(
      network=small.NETWORK.to_dict(), preprocessing=None,
      classes={'number': small.CLASSES, 'names': None},
      config={name: config[name].to_dict() for name in ('model', 'training')},
  )
  assert config.training.evaluation_batch_size == 8
  validate(Model(facts, {}), small.dataset())
  assert set(sizes) == {9}


def test_other_tasks_have_no_predictions():
  with pytest.raises(UserError, match='task of its own'):
    Model(_facts(preprocessing=None), {}).predict(np.zeros((4, 4, 3)))
