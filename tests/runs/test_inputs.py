"""What a config only names must not change while a run is interrupted."""

import json
import logging
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from layernas.data.array_dataset import ArrayDataset
from layernas.errors import UserError
from layernas.latency import run_latency as latency
from layernas.latency.stopwatch import Timing
from layernas.networks.latency import space_modules
from layernas.networks.space import NetworkLayer
from layernas.networks.space import NetworkSpace
from layernas.networks.spec import Head
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem
from layernas.runs import evaluator
from layernas.runs import final
from layernas.runs.final import read_architecture
from layernas.runs.final import run_final
from layernas.runs.run_search import run_search
from layernas.training.train import TrainResult
from tests import tiny

_AS_IT_BEGAN = {
    'activation': 'relu6', 'last': 5, 'bits': 8, 'brightness': 100, 'default': 0
}

_OWN: dict[str, object] = {}
"""What the own parts below depend on: as code that is edited."""


@pytest.fixture(autouse=True)
def _nothing_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:

  def train(job, *args, **named):
    return TrainResult({'accuracy': job.seed % 89 / 100}, 10, 1.0)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', train)
  monkeypatch.setattr(final, 'train_and_evaluate', train)
  _OWN.update(_AS_IT_BEGAN)


def own_space() -> NetworkSpace:
  """Four networks; their costs do not depend on the activation."""
  activation = _OWN['activation']
  blocks = InvertedResidual(8, 0), InvertedResidual(8, 16, 3, 2, activation)
  options = ({'kernel': 3}, {'kernel': _OWN['last']})
  return NetworkSpace(NetworkSpec(Stem(8), blocks, Head(0)), (
      NetworkLayer('width', ('block0',), ({'filters': 8}, {'filters': 16})),
      NetworkLayer('kernel', ('block1',), options, _OWN['default']),
  ))


def own_cost(space, image_size, num_classes):
  """Dearer by bits where two layers meet."""
  return space.priced(
      'bits', 'bits', image_size,
      lambda module, filters, size: _OWN['bits'] if filters == 16 else 1,
  )


def own_data(section):
  """Grey images of two classes."""
  images = np.full((40, 16, 16, 3), _OWN['brightness'], np.uint8)
  labels = np.arange(40) % 2
  splits = {name: (lambda: images, labels) for name in ('all_train', 'test')}
  return ArrayDataset('grey', splits, 2, section)


def _config(trials: int = 2, **changes: object):
  return tiny.changed(compile_ahead=0, **{'budget.trials': trials, **changes})


def _content(workdir: pathlib.Path) -> dict[str, bytes]:
  return {
      path.name: path.read_bytes() for path in workdir.glob('*.json*')
  }


_SPACE = {'space': f'{__name__}:own_space'}
_DATA = {
    'data.source': f'{__name__}:own_data', 'training.batch_size': 8,
    'final.batch_size': 8,
}
_COST = {'cost.metric': f'{__name__}:own_cost'}


@pytest.mark.parametrize(('fields', 'edit', 'names'), [
    (_SPACE, {'activation': 'swish'}, 'space'),
    pytest.param(_SPACE, {'last': 7}, 'space', marks=pytest.mark.long),
    pytest.param(_SPACE, {'default': 1}, 'space', marks=pytest.mark.long),
    (_DATA, {'brightness': 101}, 'data'),
    pytest.param(_COST, {'bits': 9}, r'cost\.metric', marks=pytest.mark.long),
])
def test_edited_parts_of_ones_own(
    tmp_path: pathlib.Path, fields: dict[str, object],
    edit: dict[str, object], names: str,
) -> None:
  run_search(_config(**fields), tmp_path)
  before = _content(tmp_path)
  _OWN.update(edit)
  with pytest.raises(
      UserError, match=f'^workdir {tmp_path}: the content of {names} is not'
  ):
    run_search(_config(4, **fields), tmp_path)
  assert _content(tmp_path) == before
  _OWN.update(_AS_IT_BEGAN)
  assert run_search(_config(4, **fields), tmp_path)['trials'] == {'ok': 4}


_CODE = """
from layernas.search import Sweep
from layernas.training.optimizer import cosine

# Larger is better.
def score(metrics):
  return 100 * metrics['accuracy']


def schedule(buckets=2):
  return Sweep(buckets)


def rate(span):
  return cosine(span)
"""


@pytest.mark.parametrize(('field', 'function'), [
    ('reward', 'score'),
    pytest.param('search.schedule', 'schedule', marks=pytest.mark.long),
    pytest.param('training.schedule', 'rate', marks=pytest.mark.long),
])
def test_edited_code_of_ones_own(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, field: str,
    function: str,
) -> None:
  name = f'own_code_{function}'
  file = tmp_path / f'{name}.py'
  file.write_text(_CODE)
  monkeypatch.syspath_prepend(tmp_path)
  workdir, fields = tmp_path / 'run', {field: f'{name}:{function}'}
  run_search(_config(**fields), workdir)
  assert json.loads((workdir / 'own_modules.json').read_text()).count(
      str(tmp_path)
  ) == 1
  before = _content(workdir)
  file.write_text(_CODE.replace('100', '50'))
  with pytest.raises(UserError) as error:
    run_search(_config(4, **fields), workdir)
  assert str(error.value) == (
      f'workdir {workdir}: the content of {field} is not what its run began'
      f' with (it was {name}:{function} in {file}, and is'
      f' {name}:{function} in {file}, edited since); allowed is the same'
      ' content, or another workdir'
  )
  assert _content(workdir) == before
  # A comment, and a workdir of a version that did not look at code.
  file.write_text(_CODE.replace('# Larger is better.', '  # Percent.\n'))
  assert run_search(_config(3, **fields), workdir)['trials'] == {'ok': 3}
  inputs = json.loads((workdir / 'inputs.json').read_text())
  del inputs[field]
  (workdir / 'inputs.json').write_text(json.dumps(inputs))
  file.write_text(_CODE.replace('100', '50'))
  assert run_search(_config(4, **fields), workdir)['trials'] == {'ok': 4}


def _write_images(folder: pathlib.Path, names: str = 'ab', images: int = 4):
  """Files of one size each, whatever their colour is."""
  for split in ('train', 'test'):
    for name, colour in zip(names, ('black', 'white'), strict=True):
      directory = folder / split / name
      directory.mkdir(parents=True, exist_ok=True)
      for number in range(images):
        Image.new('RGB', (16, 16), colour).save(directory / f'{number}.png')


@pytest.mark.long
@pytest.mark.parametrize('change', [
    {'names': 'ba'}, {'images': 6}, {'names': 'ba', 'images': 6},
])
def test_images_of_a_folder(
    tmp_path: pathlib.Path, change: dict[str, object]
) -> None:
  folder = tmp_path / 'images'
  fields = {
      'data.source': 'folder', 'data.directory': str(folder),
      'training.batch_size': 2, 'training.evaluation_batch_size': 2,
  }
  _write_images(folder)
  run_search(_config(**fields), tmp_path / 'run')
  before = _content(tmp_path / 'run')
  _write_images(folder, **change)
  with pytest.raises(UserError, match='the content of data is not') as error:
    run_search(_config(4, **fields), tmp_path / 'run')
  now = 2 * change.get('images', 4)
  assert f'(it was {folder}, 8 training images, 8 test' in str(error.value)
  assert f'and is {folder}, {now} training images' in str(error.value)
  assert _content(tmp_path / 'run') == before
  (folder / 'note.txt').write_text('not an image')
  if 'images' not in change:
    _write_images(folder)
    run_search(_config(4, **fields), tmp_path / 'run')


@pytest.mark.long
def test_a_latency_table(tmp_path: pathlib.Path) -> None:
  signatures = [m.signature for m in space_modules(tiny.space(), 16, 10)]
  table = tmp_path / 'table.csv'

  def write(last: float, reverse: bool = False) -> None:
    rows = [f'"{s}",1.0' for s in signatures[:-1]]
    rows.append(f'"{signatures[-1]}",{last}')
    rows = rows[::-1] if reverse else rows
    table.write_text('\n'.join(['signature,milliseconds', *rows]))

  fields = {'cost.metric': 'latency', 'cost.latency_table': str(table)}
  write(2.0)
  run_search(_config(**fields), tmp_path / 'run')
  write(2.5)
  with pytest.raises(
      UserError, match=r'the content of cost\.latency_table is not'
  ):
    run_search(_config(4, **fields), tmp_path / 'run')
  # The same table in another order.
  write(2.0, reverse=True)
  run_search(_config(4, **fields), tmp_path / 'run')


@pytest.mark.long
def test_a_workdir_without_inputs_gets_them(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
  run_search(_config(**_SPACE), tmp_path)
  recorded = json.loads((tmp_path / 'inputs.json').read_text())
  assert recorded['space']['text'].endswith('4 networks of 2 layers')
  (tmp_path / 'inputs.json').unlink()
  with caplog.at_level(logging.WARNING):
    run_search(_config(3, **_SPACE), tmp_path)
    run_search(_config(4, **_SPACE), tmp_path)
  [record] = [r for r in caplog.records if 'inputs' in r.getMessage()]
  assert 'its inputs (space, layers, data)' in record.getMessage()
  assert json.loads((tmp_path / 'inputs.json').read_text()) == recorded


def test_inputs_of_a_final_training(tmp_path: pathlib.Path) -> None:
  fields = {**_SPACE, **_DATA, 'reference.seeds': 1}
  run_search(_config(**fields), tmp_path)
  found = read_architecture(str(tmp_path / 'result.json'))
  run_final(_config(**fields), found, tmp_path / 'final')
  # What belongs to the search alone may differ, and more seeds are added.
  rows = run_final(
      _config(9, **fields | {'reference.seeds': 2, 'training.epochs': 3.0}),
      found, tmp_path / 'final',
  )
  assert [len(row['accuracies']) for row in rows] == [2, 2]
  _OWN['brightness'] = 101
  with pytest.raises(UserError, match='final: the content of data is not'):
    run_final(_config(**fields), found, tmp_path / 'final')
  _OWN.update(brightness=100, activation='swish')
  with pytest.raises(UserError, match='final: the default network of space'):
    run_final(_config(**fields), found, tmp_path / 'final')


@pytest.mark.long
def test_inputs_of_a_latency_measurement(tmp_path: pathlib.Path) -> None:
  config = _config(**_SPACE, **{'latency.networks': 2, 'latency.repeats': 1})

  def timer(what: object) -> Callable[[], Timing]:
    del what
    return lambda: Timing(1.0, 1.0, 1.0)

  latency.run_latency(config, tmp_path, timer)
  _OWN['activation'] = 'swish'
  with pytest.raises(UserError, match='the content of space is not'):
    latency.run_latency(config, tmp_path, timer)
