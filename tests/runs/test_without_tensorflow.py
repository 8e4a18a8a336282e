"""Searches over image folders where TensorFlow is not installed."""

import json
import pathlib

import pytest
from PIL import Image

from layernas.errors import UserError
from layernas.runs.run_search import run_search
from tests import tiny

_TENSORFLOW = 'tensorflow', 'tensorflow_datasets', 'keras'


def _write_images(folder: pathlib.Path) -> str:
  for split in ('train', 'test'):
    for name, colour in (('a', 'black'), ('b', 'white')):
      directory = folder / split / name
      directory.mkdir(parents=True)
      for number in range(8):
        Image.new('RGB', (20, 18), colour).save(directory / f'{number}.jpg')
  return str(folder)


def _fields(folder: str, decoder: str) -> dict[str, object]:
  return {
      'data.source': 'folder', 'data.directory': folder,
      'data.decoder': decoder, 'data.augmentation': 'resized_crop',
      'data.transfer': 'uint8', 'budget.trials': 1, 'reference.seeds': 1,
      'training.batch_size': 4, 'training.evaluation_batch_size': 4,
      'final.batch_size': 4, 'final.evaluation_batch_size': 4,
      'training.epochs': 1.0, 'final.epochs': 1.0,
  }


@pytest.mark.long
def test_a_folder_is_searched_and_its_network_trained(
    tmp_path: pathlib.Path,
) -> None:
  """In programs in which TensorFlow cannot be imported."""
  fields = _fields(_write_images(tmp_path / 'images'), 'auto')
  workdir = tmp_path / 'run'
  searched = tiny.run_without(
      _TENSORFLOW, 'search', '--config=tests/tiny.py', f'--workdir={workdir}',
      *(f'--config.{field}={value}' for field, value in fields.items()),
  )
  assert searched.returncode == 0, searched.stderr
  trained = tiny.run_without(
      _TENSORFLOW, 'train', f'--architecture={workdir}/result.json',
      f'--workdir={tmp_path}/final',
  )
  assert trained.returncode == 0, trained.stderr
  inputs = json.loads((workdir / 'inputs.json').read_text())
  assert inputs['data']['text'].endswith('16 test images, decoded by pillow')
  final = json.loads((tmp_path / 'final/final.json').read_text())
  assert final['config']['data']['decoder'] == 'auto'


@pytest.mark.long
def test_a_search_does_not_change_its_decoder(tmp_path: pathlib.Path) -> None:
  folder = _write_images(tmp_path / 'images')
  run_search(tiny.changed(**_fields(folder, 'tensorflow')), tmp_path / 'run')
  with pytest.raises(UserError, match='the content of data is not') as error:
    run_search(tiny.changed(**_fields(folder, 'pillow')), tmp_path / 'run')
  assert 'decoded by pillow); allowed is the same' in str(error.value)
  # To name what was found before is no change.
  more = _fields(folder, 'auto') | {'budget.trials': 2}
  run_search(tiny.changed(**more), tmp_path / 'run')
  trials = (tmp_path / 'run/trials.jsonl').read_text().splitlines()
  assert len(trials) == 2
