"""Measuring a space: resuming, errors of the sums, the program as a whole."""

import csv
import json
import pathlib
import types

import pytest
from ml_collections import ConfigDict

from layernas.errors import UserError
from layernas.latency import run_latency as run_latency_module
from layernas.latency.run_latency import random_architectures
from layernas.latency.run_latency import run_latency
from layernas.latency.stopwatch import Timing
from layernas.networks.latency import read_latency_table
from layernas.networks.latency import space_modules
from layernas.networks.space import PlacedModule
from layernas.networks.space import network_modules
from layernas.runs.setup import make_problem
from tests import tiny
from tests.fake_gcs import Bucket

_MODULES = [module.signature for module in space_modules(tiny.space(), 16, 10)]


@pytest.fixture
def _known_images(monkeypatch: pytest.MonkeyPatch) -> None:
  """Reads no images: only their side and the number of classes matter."""
  known = types.SimpleNamespace(image_size=16, num_classes=10)
  monkeypatch.setattr(run_latency_module, 'load_dataset', lambda config: known)


def _config(**changes: object) -> ConfigDict:
  config = tiny.get_config()
  with config.unlocked():
    config.update_from_flattened_dict({
        'latency.warmup': 0, 'latency.repeats': 2, 'latency.networks': 5,
        **changes,
    })
  return config


class _Timer:
  """Module number i of the space takes i + 1 ms, a whole a quarter more.

  Attributes:
    timed: what was timed.
  """

  def __init__(self, stop_after: int = 1000):
    self.timed: list[object] = []
    self._stop_after = stop_after

  def __call__(self, what) -> Timing:
    if len(self.timed) == self._stop_after:
      raise KeyboardInterrupt
    self.timed.append(what)
    if isinstance(what, PlacedModule):
      time = _MODULES.index(what.signature) + 1.0
    else:
      modules = network_modules(what, 16, 10)
      time = 1.25 * sum(_MODULES.index(m.signature) + 1 for m in modules)
    return Timing(time, 0.5 * time, 2 * time)


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
  with open(path) as file:
    return list(csv.DictReader(file))


@pytest.mark.usefixtures('_known_images')
def test_table_and_errors(tmp_path: pathlib.Path) -> None:
  timer = _Timer()
  result = run_latency(_config(), tmp_path, timer)
  table = read_latency_table(tmp_path / 'latency.csv')
  assert table == {name: i + 1.0 for i, name in enumerate(_MODULES)}
  assert _rows(tmp_path / 'latency.csv')[1] == {
      'signature': _MODULES[1], 'milliseconds': '2.0',
      'lower_quartile': '1.0', 'upper_quartile': '4.0', 'repeats': '2',
  }
  assert len(timer.timed) == len(_MODULES) + 5
  assert json.loads((tmp_path / 'latency.json').read_text()) == result
  assert result['modules'] == len(_MODULES)
  assert result['batch_size'] == 1
  assert result['device']['platform'] == 'cpu'
  errors = result['errors']
  assert errors['mean_percent'] == pytest.approx(-20, abs=1e-3)
  assert errors['mean_absolute_percent'] == pytest.approx(20, abs=1e-3)
  assert errors['pearson'] == pytest.approx(1)
  assert errors['spearman'] == pytest.approx(1)
  assert (tmp_path / 'latency.png').exists()


@pytest.mark.usefixtures('_known_images')
def test_points_add_up_the_modules_of_their_network(
    tmp_path: pathlib.Path,
) -> None:
  config = _config(**{'cost.metric': 'latency',
                      'cost.latency_table': str(tmp_path / 'latency.csv')})
  result = run_latency(config, tmp_path, _Timer())
  cost = make_problem(config, tiny.space(), 16, 10).cost
  assert len(result['points']) == 5
  for point in result['points']:
    architecture = tuple(map(int, point['architecture'].split('-')))
    assert point['modules'] == cost.cost(architecture)
    assert point['whole'] == pytest.approx(1.25 * point['modules'])


@pytest.mark.usefixtures('_known_images')
@pytest.mark.parametrize('before', [3, len(_MODULES) + 2])
def test_an_interrupted_run_times_nothing_again(
    before: int, tmp_path: pathlib.Path
) -> None:
  first, second, third = _Timer(stop_after=before), _Timer(), _Timer()
  with pytest.raises(KeyboardInterrupt):
    run_latency(_config(), tmp_path, first)
  result = run_latency(_config(), tmp_path, second)
  assert len(first.timed) == before
  whole = _Timer()
  fresh = run_latency(_config(), tmp_path / 'fresh', whole)
  assert first.timed + second.timed == whole.timed
  assert result['points'] == fresh['points']
  assert run_latency(_config(), tmp_path, third)['points'] == fresh['points']
  assert not third.timed


@pytest.mark.usefixtures('_known_images')
def test_two_devices_do_not_share_a_table(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  run_latency(_config(), tmp_path, _Timer())
  monkeypatch.setattr(run_latency_module, '_device', lambda: {'kind': 'abacus'})
  with pytest.raises(UserError, match=r'abacus.*is the same device'):
    run_latency(_config(), tmp_path, _Timer())


@pytest.mark.parametrize(('field', 'value'), [
    ('latency.batch_size', 0), ('latency.warmup', -1), ('latency.repeats', 0),
    ('latency.networks', 1), ('space', 'nowhere'),
])
def test_wrong_fields_touch_nothing(
    field: str, value: object, tmp_path: pathlib.Path
) -> None:
  with pytest.raises(UserError, match=f'{field}: {value!r}: allowed'):
    run_latency(_config(**{field: value}), tmp_path / 'a', _Timer())
  assert not (tmp_path / 'a').exists()


def test_random_architectures_are_different_and_of_the_seed() -> None:
  space = tiny.space().search_space
  drawn = random_architectures(space, 6, seed=3)
  assert drawn == random_architectures(space, 6, seed=3)
  assert drawn != random_architectures(space, 6, seed=4)
  assert len(set(drawn)) == 6
  for architecture in drawn:
    space.check(architecture)
  assert len(set(random_architectures(space, 99, seed=0))) == space.size


def test_the_program_measures_a_table_for_a_search(
    tmp_path: pathlib.Path,
) -> None:
  flags = ('--config=tests/tiny.py', '--config.latency.warmup=0',
           '--config.latency.repeats=2', '--config.latency.networks=2')
  done = tiny.run_program('latency', *flags, f'--workdir={tmp_path}')
  assert done.returncode == 0, done.stderr
  assert f'{len(_MODULES)} modules, 0 measured already' in done.stdout
  assert 'mean absolute error' in done.stdout
  assert list(read_latency_table(tmp_path / 'latency.csv')) == _MODULES
  result = json.loads((tmp_path / 'latency.json').read_text())
  assert len(result['points']) == 2
  assert all(point['whole'] > 0 for point in result['points'])
  config = _config(**{'cost.metric': 'latency',
                      'cost.latency_table': str(tmp_path / 'latency.csv')})
  low, high = make_problem(config, tiny.space(), 16, 10).cost.interval(
      (0, 0, 0), ()
  )
  assert 0 < low < high


@pytest.mark.usefixtures('_known_images')
def test_a_workdir_in_a_bucket_is_measured_and_resumed(bucket: Bucket) -> None:
  workdir = f'{bucket.url}/latency'
  with pytest.raises(KeyboardInterrupt):
    run_latency(_config(), workdir, _Timer(stop_after=3))
  timer = _Timer()
  run_latency(_config(), workdir, timer)
  assert len(timer.timed) == len(_MODULES) - 3 + 5
  assert set(read_latency_table(f'{workdir}/latency.csv')) == set(_MODULES)
  assert bucket.names(r'latency/latency\.png')
