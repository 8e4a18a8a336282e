"""Measuring a space: resuming, errors of the sums, the program as a whole."""

import csv
import dataclasses
import io
import json
import pathlib
import signal
import subprocess
import types
from collections.abc import Callable

import pytest
from ml_collections import ConfigDict
from PIL import Image
from rich.console import Console

from layernas.errors import UserError
from layernas.latency import run_latency as run_latency_module
from layernas.latency.frames import Framed
from layernas.latency.frames import framed
from layernas.latency.run_latency import Measurements
from layernas.latency.run_latency import Point
from layernas.latency.run_latency import prediction_errors
from layernas.latency.run_latency import random_architectures
from layernas.latency.run_latency import run_latency
from layernas.latency.run_latency import save_predictions
from layernas.latency.run_latency import summary_table
from layernas.latency.stopwatch import Timing
from layernas.networks.latency import latency_cost
from layernas.networks.latency import read_latency_table
from layernas.networks.latency import space_modules
from layernas.networks.registry import make_space
from layernas.networks.space import SizedModule
from layernas.networks.space import network_modules
from layernas.runs.setup import make_problem
from layernas.search.space import parse_architecture_id
from layernas.storage.workdir import Workdir
from tests import processes
from tests import tiny
from tests.fake_gcs import Bucket

_MODULES = [module.signature for module in space_modules(tiny.space(), 16, 10)]
_PROGRAMS = [one.name for one in framed(space_modules(tiny.space(), 16, 10))]


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
  """Other tests' processes have all cores again."""
  monkeypatch.setenv('NPROC', '1')


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
        'latency.sweeps': 1, **changes,
    })
  return config


class _Timer:
  """Module number i of the space takes i + 1 ms, a whole a quarter more.

  A frame takes 100 ms by itself.

  Attributes:
    timed: what was timed.
  """

  def __init__(self, stop_after: int = 1000):
    self.timed: list[object] = []
    self._stop_after = stop_after

  def __call__(self, what) -> Callable[[], Timing]:

    def time() -> Timing:
      if len(self.timed) == self._stop_after:
        raise KeyboardInterrupt
      self.timed.append(what)
      return self._timing(what)

    return time

  def _timing(self, what) -> Timing:
    frame = 0.0
    if isinstance(what, Framed):
      frame = 100.0 if what.has_conv else 0.0
      what = what.placed
    if what is None:
      time = 0.0
    elif isinstance(what, SizedModule):
      time = _MODULES.index(what.signature) + 1.0
    else:
      modules = network_modules(what, 16, 10)
      time = 1.25 * sum(_MODULES.index(m.signature) + 1 for m in modules)
    return Timing(*(frame + factor * time for factor in (1, 0.5, 2)))


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
  with open(path) as file:
    return list(csv.DictReader(file))


@pytest.mark.usefixtures('_known_images')
def test_table_and_errors(tmp_path: pathlib.Path) -> None:
  timer = _Timer()
  result = run_latency(_config(), tmp_path, timer)
  table = read_latency_table(tmp_path / 'latency.csv')
  assert table.rows == {name: i + 1.0 for i, name in enumerate(_MODULES)}
  assert _rows(tmp_path / 'latency.csv')[1] == {
      'signature': _MODULES[1], 'milliseconds': '2.0',
      'lower_quartile': '1.0', 'upper_quartile': '4.0', 'repeats': '2',
  }
  assert len(timer.timed) == len(_MODULES) + 5
  assert json.loads((tmp_path / 'latency.json').read_text()) == result
  assert result['modules'] == len(_MODULES)
  assert result['batch_size'] == 1
  assert result['device']['platform'] == 'cpu'
  assert result['device']['runtime'] == 'xla'
  assert result['device']['threads'] == 1
  errors = result['errors']
  assert errors['mean_percent'] == pytest.approx(-20, abs=1e-3)
  assert errors['mean_absolute_percent'] == pytest.approx(20, abs=1e-3)
  assert errors['pearson'] == pytest.approx(1)
  assert errors['spearman'] == pytest.approx(1)
  assert (tmp_path / 'latency.png').exists()


@pytest.mark.usefixtures('_known_images')
def test_what_takes_long_is_said(
    tmp_path: pathlib.Path, said: list[str]
) -> None:
  run_latency(_config(), tmp_path, _Timer())
  count = len(_MODULES)
  assert said == [
      'listing the modules of the space', 'pricing the networks',
      f'compiling 1 to {count} of {count}', 'compiling 1 to 5 of 5',
  ]


@pytest.mark.usefixtures('_known_images')
def test_files_are_timed_in_frames(tmp_path: pathlib.Path) -> None:
  pytest.importorskip('onnx')
  pytest.importorskip('onnxruntime')
  timer = _Timer()
  config = _config(**{'latency.runtime': 'onnxruntime'})
  result = run_latency(config, tmp_path, timer)
  assert len(timer.timed) == len(_PROGRAMS) + 5
  assert [row['name'] for row in _rows(tmp_path / 'passes.csv')] == _PROGRAMS
  # The frames' 100 ms are gone; so is nothing of the rest.
  table = read_latency_table(tmp_path / 'latency.csv')
  assert table.rows == {name: i + 1.0 for i, name in enumerate(_MODULES)}
  assert result['device']['runtime'] == 'onnxruntime'
  assert result['errors']['mean_percent'] == pytest.approx(-20, abs=1e-3)
  with pytest.raises(UserError, match=r'latency\.runtime was .onnxruntime'):
    run_latency(_config(), tmp_path, timer)


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
    assert point['predicted'] == cost.cost(architecture)
    assert point['whole'] == pytest.approx(1.25 * point['predicted'])


@pytest.mark.usefixtures('_known_images')
def test_whole_networks_are_timed_and_fitted(tmp_path: pathlib.Path) -> None:
  """The timer's figures add up: a fit to the others predicts each network."""
  config = _config(**{
      'latency.whole_networks': True, 'cost.metric': 'latency',
      'cost.latency_table': str(tmp_path / 'latency.csv'),
  })
  timer = _Timer(stop_after=4)
  with pytest.raises(KeyboardInterrupt):
    run_latency(config, tmp_path, timer)
  again = _Timer()
  result = run_latency(config, tmp_path, again)
  space = tiny.space().search_space
  rows = read_latency_table(tmp_path / 'latency.csv').rows
  assert len(timer.timed + again.timed) == len(rows)
  named = [parse_architecture_id(text) for text in rows]
  assert space.default in named
  for layer, count in enumerate(space.option_counts):
    assert {one[layer] for one in named} == set(range(count))
  assert result['modules'] == 0
  assert len(result['points']) == 5
  assert not (tmp_path / 'networks.csv').exists()
  cost = make_problem(config, tiny.space(), 16, 10).cost
  for text, milliseconds in rows.items():
    assert cost.cost(parse_architecture_id(text)) == pytest.approx(
        milliseconds, rel=0.15
    )


@pytest.mark.long
def test_a_space_of_flax_modules_is_measured_for_a_search(
    tmp_path: pathlib.Path,
) -> None:
  flags = (
      '--config=tests/tiny.py', '--config.latency.warmup=0',
      '--config.latency.repeats=2', '--config.latency.networks=2',
      '--config.space=tests.networks.flax_spaces:space',
  )
  done = tiny.run_program('latency', *flags, f'--workdir={tmp_path / "a"}')
  assert done.returncode == 0, done.stderr
  assert 'fit to other networks, mean error' in done.stdout
  table = tmp_path / 'a' / 'latency.csv'
  rows = read_latency_table(table).rows
  limit = sorted(rows.values())[-2]
  done = tiny.run_program(
      'search', *flags, '--config.cost.metric=latency',
      f'--config.cost.latency_table={table}', f'--config.target.high={limit}',
      '--config.budget.trials=2', '--config.training.epochs=0.05',
      f'--workdir={tmp_path / "b"}',
  )
  assert done.returncode == 0, done.stderr
  result = json.loads((tmp_path / 'b' / 'result.json').read_text())
  assert 0 < result['winner']['cost'] <= limit


@pytest.mark.usefixtures('_known_images')
@pytest.mark.parametrize('before', [
    pytest.param(3, marks=pytest.mark.long), len(_MODULES) + 2,
])
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
  monkeypatch.setattr(
      run_latency_module, '_device', lambda config: {'kind': 'abacus'}
  )
  with pytest.raises(UserError, match=r'abacus.*is the same device'):
    run_latency(_config(), tmp_path, _Timer())


@pytest.mark.parametrize(('field', 'value'), [
    ('latency.batch_size', 0), ('latency.warmup', -1), ('latency.repeats', 0),
    ('latency.networks', 1), ('latency.threads', 0), ('latency.sweeps', 0),
    ('latency.runtime', 'abacus'), ('space', 'nowhere'),
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


@pytest.mark.long
def test_the_program_measures_a_table_for_a_search(
    tmp_path: pathlib.Path,
) -> None:
  flags = ('--config=tests/tiny.py', '--config.latency.warmup=0',
           '--config.latency.repeats=2', '--config.latency.networks=2')
  done = tiny.run_program('latency', *flags, f'--workdir={tmp_path}')
  assert done.returncode == 0, done.stderr
  assert f'{len(_MODULES)} to time, 0 timed already' in done.stdout
  assert 'mean absolute error' in done.stdout
  assert list(
      read_latency_table(tmp_path / 'latency.csv').rows
  ) == _MODULES
  result = json.loads((tmp_path / 'latency.json').read_text())
  assert len(result['points']) == 2
  assert all(point['whole'] > 0 for point in result['points'])
  config = _config(**{'cost.metric': 'latency',
                      'cost.latency_table': str(tmp_path / 'latency.csv')})
  low, high = make_problem(config, tiny.space(), 16, 10).cost.interval(
      (0, 0, 0), ()
  )
  assert 0 < low < high


@pytest.mark.long
@pytest.mark.parametrize(('number', 'code', 'last'), [
    (signal.SIGINT, 130, 'interrupted'),
    (signal.SIGTERM, 0, 'preempted: what was finished is saved'),
])
def test_the_program_ends_soon_and_times_nothing_again(
    tmp_path: pathlib.Path, number: int, code: int, last: str
) -> None:
  command = tiny.command(
      'latency', '--config=tests/tiny.py', '--config.latency.repeats=2',
      '--config.latency.networks=2', f'--workdir={tmp_path}',
  )
  ended = processes.signalled(
      command, number, (tmp_path / 'latency.csv').exists
  )
  assert ended.code == code, ended.output
  assert ended.output.endswith(
      f'\n{last}; the same command goes on from here\n'
  )
  assert 'Traceback' not in ended.output
  assert ended.seconds < 4
  rows = (tmp_path / 'latency.csv').read_text().splitlines()[1:]
  assert rows
  done = subprocess.run(
      command, cwd=tiny.ROOT, capture_output=True, text=True, check=True
  )
  assert f'\n{len(_MODULES)} to time, ' in f'\n{done.stdout}'
  again = (tmp_path / 'latency.csv').read_text().splitlines()[1:]
  # Rows whose sweeps were not over may have become faster.
  kept = [row for row in rows if row.endswith(',6')]
  assert set(kept) <= set(again)
  assert all(row.endswith(',6') for row in again)


@pytest.mark.usefixtures('_known_images')
def test_a_workdir_in_a_bucket_is_measured_and_resumed(bucket: Bucket) -> None:
  workdir = f'{bucket.url}/latency'
  with pytest.raises(KeyboardInterrupt):
    run_latency(_config(), workdir, _Timer(stop_after=3))
  timer = _Timer()
  run_latency(_config(), workdir, timer)
  assert len(timer.timed) == len(_MODULES) - 3 + 5
  table = read_latency_table(f'{workdir}/latency.csv')
  assert set(table.rows) == set(_MODULES)
  assert bucket.names(r'latency/latency\.png')


def _open(path: pathlib.Path, sweeps: int = 1) -> Measurements:
  return Measurements(Workdir(path), 'a.csv', 'signature', 5, sweeps)


def test_every_timing_is_on_file_at_once(tmp_path: pathlib.Path) -> None:
  table = _open(tmp_path)
  table.measure('stem', lambda: Timing(2.0, 1.5, 2.5))
  table.measure('head', lambda: Timing(1.0 / 3, 0.25, 0.5))
  assert (tmp_path / 'a.csv').read_text() == (
      'signature,milliseconds,lower_quartile,upper_quartile,repeats\n'
      'stem,2.0,1.5,2.5,5\n'
      'head,0.333333,0.25,0.5,5\n'
  )
  # What is kept is what another run will read.
  again = _open(tmp_path)
  assert again.sweeps_left('head') == 0
  assert again.timings['head'] == Timing(0.333333, 0.25, 0.5)
  assert again.timings == table.timings
  assert read_latency_table(tmp_path / 'a.csv').rows == {
      'stem': 2.0, 'head': 0.333333
  }


def test_the_fastest_sweep_counts(tmp_path: pathlib.Path) -> None:
  for index, value in enumerate((2.0, 1.0, 3.0)):
    table = _open(tmp_path, sweeps=3)
    assert table.sweeps_left('stem') == 3 - index
    table.measure('stem', lambda value=value: Timing(value, value, value))
  assert _open(tmp_path, 3).sweeps_left('stem') == 0
  assert _open(tmp_path, 4).sweeps_left('stem') == 1
  assert _open(tmp_path).timings['stem'] == Timing(1.0, 1.0, 1.0)


@pytest.mark.usefixtures('_known_images')
def test_every_sweep_times_everything(tmp_path: pathlib.Path) -> None:
  timer = _Timer()
  run_latency(_config(**{'latency.sweeps': 3}), tmp_path, timer)
  assert len(timer.timed) == 3 * (len(_MODULES) + 5)
  # One after the other, not each several times in a row.
  assert timer.timed[:2] == timer.timed[len(_MODULES):len(_MODULES) + 2]


def test_an_interrupted_timing_leaves_nothing(tmp_path: pathlib.Path) -> None:
  table = _open(tmp_path)

  def interrupted() -> Timing:
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    table.measure('stem', interrupted)
  assert not (tmp_path / 'a.csv').exists()


def test_damaged_files_are_named(tmp_path: pathlib.Path) -> None:
  _open(tmp_path).measure('stem', lambda: Timing(2.0, 1.5, 2.5))
  path = tmp_path / 'a.csv'
  path.write_text(path.read_text().replace('2.5', ''))
  with pytest.raises(UserError, match="line 2, column 'upper_quartile'"):
    _open(tmp_path)


def _points(*pairs: tuple[float, float]) -> list[Point]:
  return [
      Point('0', whole, whole, whole, total, 9 - index)
      for index, (whole, total) in enumerate(pairs)
  ]


def test_errors_in_percent_of_the_whole() -> None:
  errors = prediction_errors(_points((1.0, 0.8), (2.0, 2.2), (4.0, 4.4)))
  assert errors['mean_percent'] == pytest.approx(0.0, abs=1e-9)
  assert errors['mean_absolute_percent'] == pytest.approx(40 / 3)
  assert errors['largest_absolute_percent'] == pytest.approx(20)


def test_correlations() -> None:
  # Ranks agree, values do not lie on a line; then two ranks are swapped.
  errors = prediction_errors(_points((1, 1), (2, 4), (3, 9)))
  assert errors['spearman'] == pytest.approx(1)
  assert errors['pearson'] == pytest.approx(8 / (2 * 294 / 9) ** 0.5)
  assert errors['madds_spearman'] == pytest.approx(-1)
  assert prediction_errors(_points((1, 1), (2, 9), (3, 4)))['spearman'] == (
      pytest.approx(0.5)
  )


def test_equal_times_have_no_correlation() -> None:
  errors = prediction_errors(_points((1, 1), (1, 2)))
  assert errors['pearson'] is errors['spearman'] is None


def test_picture_and_table(tmp_path: pathlib.Path) -> None:
  points = _points((1.0, 0.8), (2.0, 1.6))
  errors = prediction_errors(points)
  result = {
      'device': {
          'kind': 'abacus', 'platform': 'wood', 'cpu_cores': 10,
          'runtime': 'beads', 'version': '7', 'threads': 2,
      },
      'batch_size': 4, 'modules': 79, 'errors': errors,
      'points': [dataclasses.asdict(point) for point in points],
      'empty_loop': 0.0015, 'empty_call': 0.04,
  }
  save_predictions(result, tmp_path / 'a.png')
  with Image.open(tmp_path / 'a.png') as image:
    assert min(image.size) > 400
  console = Console(file=io.StringIO(), width=120)
  console.print(summary_table(result))
  text = console.file.getvalue()
  for part in ('beads 7, 2 threads, abacus', '79', '-20.0 %', '1.000',
               '1.50 µs', '40.00 µs'):
    assert part in text


_STORED = {
    'xla': 'latency_cifar10_small', 'onnxruntime': 'latency_onnxruntime',
    'litert': 'latency_litert',
}


def _stored(folder: str) -> tuple[dict[str, object], list[Point]]:
  """Content of a stored latency.json, and its points."""
  path = tiny.ROOT / 'docs' / 'results' / folder / 'latency.json'
  result = json.loads(path.read_text())
  return result, [Point(**point) for point in result['points']]


@pytest.mark.parametrize(('runtime', 'folder'), [
    *_STORED.items(), ('onnxruntime', 'latency_large'),
])
def test_stored_results_are_what_their_files_say(
    runtime: str, folder: str
) -> None:
  result, points = _stored(folder)
  path = tiny.ROOT / 'docs' / 'results' / folder
  space = make_space(result['space'])
  costs = latency_cost(
      space, read_latency_table(path / 'latency.csv'), 32, 10
  )
  madds = space.cost('madds', 32, 10)
  for point in points:
    architecture = parse_architecture_id(point.architecture)
    assert point.predicted == costs.cost(architecture)
    assert point.madds == madds.cost(architecture)
  assert prediction_errors(points) == pytest.approx(result['errors'])
  assert result['device']['runtime'] == runtime
  assert (result['device']['threads'], len(points)) == (1, 50)
  assert (path / 'latency.png').exists()


def test_the_text_says_what_was_measured() -> None:
  text = (tiny.ROOT / 'docs' / 'latency.md').read_text()
  errors = [_stored(folder)[0]['errors'] for folder in _STORED.values()]
  rows = {
      'mean error': lambda one: f'{one["mean_percent"]:+.1f} %',
      'mean absolute error':
          lambda one: f'{one["mean_absolute_percent"]:.1f} %',
      'largest absolute error':
          lambda one: f'{one["largest_absolute_percent"]:.1f} %',
      'Pearson / Spearman correlation':
          lambda one: f'{one["pearson"]:.3f} / {one["spearman"]:.3f}',
      'of multiply-adds in place of sums': lambda one:
          f'{one["madds_pearson"]:.3f} / {one["madds_spearman"]:.3f}',
  }
  for name, cell in rows.items():
    assert f'| {name} | {" | ".join(map(cell, errors))} |\n' in text
  for folder in _STORED.values():
    device = _stored(folder)[0]['device']
    assert f' {device["version"]}' in text
  for folder in ('latency_onnxruntime', 'latency_large'):
    result, points = _stored(folder)
    for name in ('spearman', 'madds_spearman'):
      assert f'{result["errors"][name]:.3f}' in text
    unlike = max((
        (one, other) for one in points for other in points
        if abs(one.madds / other.madds - 1) < 0.02
    ), key=lambda pair: pair[1].whole / pair[0].whole)
    assert f'{unlike[0].madds / 1e6:.2f} million' in text
    assert f'{unlike[0].whole:.3f} and {unlike[1].whole:.3f} ms' in ' '.join(
        text.split()
    )
  # Digit 4 of an architecture is the first block's kernel and filters.
  _, points = _stored(_STORED['xla'])
  for large, words in ((True, 'those'), (False, 'the other')):
    some = [one for one in points if (one.architecture[6] == '2') == large]
    mean = prediction_errors(some)['mean_percent']
    assert f'{mean:.1f} % for {words} {len(some)}' in ' '.join(text.split())
