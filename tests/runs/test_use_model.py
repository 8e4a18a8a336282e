"""Predicting, validating and exporting what a final training left."""

import csv
import io
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from layernas.data import pillow_images
from layernas.data.preparation import Preparation
from layernas.export.model import load_model
from layernas.runs import use_model
from tests import tiny
from tests.data.images import png16
from tests.search import problems


@pytest.fixture(scope='module', name='model')
def _model(trained) -> str:
  return str(trained[0] / 'winner' / 'seed0' / 'model')


@pytest.fixture(name='image')
def _image(tmp_path: pathlib.Path) -> str:
  pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
  Image.fromarray(pixels).save(tmp_path / 'a.png')
  return str(tmp_path / 'a.png')


def test_predictions_are_printed(model, image, capsys):
  use_model.predict(model, [image], as_json=True)
  [row] = json.loads(capsys.readouterr().out)
  shares = load_model(model).predict(Image.open(image))[0]
  assert row['image'] == image
  assert [one['number'] for one in row['classes']] == (
      np.argsort(-shares)[:5].tolist()
  )
  best = row['classes'][0]
  assert best['probability'] == pytest.approx(shares.max())
  assert best['name'] == load_model(model).class_names[best['number']]
  use_model.predict(model, [image])
  text = capsys.readouterr().out
  assert best['name'] in text
  assert f'{best["probability"]:.4f}' in text


def test_images_are_turned_as_their_camera_says(model, tmp_path):
  pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
  upright = Image.fromarray(pixels)
  exif = Image.Exif()
  exif[0x0112] = 6
  upright.rotate(90, expand=True).save(tmp_path / 'a.png', exif=exif)
  read = use_model.read_image(str(tmp_path / 'a.png'))
  np.testing.assert_array_equal(np.asarray(read), pixels)


@pytest.mark.parametrize('bits', [0, 14])
@pytest.mark.parametrize('shape', [(8, 8), (8, 8, 3)])
def test_16_bit_images_are_seen_as_in_training(tmp_path, shape, bits):
  values = np.random.default_rng(0).integers(0, 4096, shape)
  encoded = png16(values)
  (tmp_path / 'a.png').write_bytes(encoded)
  read = use_model.read_image(str(tmp_path / 'a.png'), bits)
  seen = pillow_images.central(encoded, Preparation(8, 'none', bits=bits))
  np.testing.assert_array_equal(np.asarray(read), seen)


def test_images_that_pillow_would_cut_off_are_one_line(model, tmp_path):
  deep = Image.fromarray(np.full((8, 8), 4000, np.uint16))
  deep.save(tmp_path / 'a.tiff')
  with problems.refuses(f'image {tmp_path}/a.tiff', 'I;16', '8 bits'):
    use_model.predict(model, [str(tmp_path / 'a.tiff')])
  with problems.refuses('images', 'I;16', '8 bits'):
    load_model(model).predict(deep)


def test_an_image_too_large_for_pillow_is_one_line(tmp_path, monkeypatch):
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
  Image.new('L', (8, 8)).save(tmp_path / 'a.png')
  with problems.refuses(f'image {tmp_path}/a.png', 'exceeds limit'):
    use_model.read_image(str(tmp_path / 'a.png'))


@pytest.mark.parametrize('content', [b'', b'no image'])
def test_a_damaged_image_is_one_line(model, tmp_path, content):
  (tmp_path / 'a.png').write_bytes(content)
  with problems.refuses(f'image {tmp_path}/a.png', 'image files'):
    use_model.predict(model, [str(tmp_path / 'a.png')])


@pytest.mark.long
def test_a_validation_as_a_table_and_as_csv(model, capsys):
  found = use_model.run_validate(model)
  metrics = load_model(model).metrics
  assert found['accuracy'] == metrics['accuracy']
  assert f'{metrics["loss"]:.5f}' in capsys.readouterr().out
  use_model.run_validate(model, as_csv=True)
  [row] = csv.DictReader(io.StringIO(capsys.readouterr().out))
  assert float(row['accuracy']) == metrics['accuracy']
  assert row['images'] == '2000'


# The tests of formats take both.
@pytest.mark.long
@pytest.mark.parametrize('takes', [
    'float32', 'uint8',
])
def test_an_export_is_as_good_as_the_model(model, takes, tmp_path, capsys):
  pytest.importorskip('onnxruntime')
  found = use_model.run_export(
      model, ['stablehlo', 'onnx'], str(tmp_path / 'out'), takes
  )
  assert found['images'] == 2000
  assert found['accuracy'] == load_model(model).metrics['accuracy']
  for one in found['formats'].values():
    assert one['difference'] < 1e-4
    assert one['agreement'] == 1
    assert one['accuracy'] == found['accuracy']
  assert 'model.onnx' in capsys.readouterr().out
  card = (tmp_path / 'out' / 'README.md').read_text()
  assert f'{load_model(model).metrics["accuracy"]:.4f}' in card
  assert ('0 to 255' in card) == (takes == 'uint8')
  metrics = load_model(model).metrics
  for name in found['formats']:
    opened = use_model.run_validate(str(tmp_path / 'out' / f'model.{name}'))
    assert opened['accuracy'] == pytest.approx(metrics['accuracy'], abs=2e-3)
    assert opened['loss'] == pytest.approx(metrics['loss'], abs=1e-4)


@pytest.mark.long
def test_the_programs(model, image, tmp_path):
  done = tiny.run_program('predict', model, image, image, '--json')
  assert done.returncode == 0, done.stderr
  assert len(json.loads(done.stdout)) == 2
  done = tiny.run_program('validate', model, '--csv')
  assert done.returncode == 0, done.stderr
  assert done.stdout.startswith('model,data,')
  done = tiny.run_program('export', model, f'--output={tmp_path}/out')
  assert done.returncode == 0, done.stderr
  assert (tmp_path / 'out' / 'model.stablehlo').exists()
  for arguments, said in (
      ((), 'argument MODEL: missing'), ((model,), 'argument IMAGE...: missing'),
      ((str(tmp_path), image), 'no model.json'),
  ):
    done = tiny.run_program('predict', *arguments)
    assert done.returncode == 2
    assert said in done.stderr
