"""The whole search with real training, and every wrong input before it."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from ml_collections import ConfigDict
from PIL import Image

from layernas.errors import UserError
from layernas.runs import evaluator
from layernas.runs.run_search import run_search
from layernas.training.train import EarlyEvaluation
from layernas.training.train import NonFiniteLossError
from layernas.training.train import TrainResult
from tests import tiny
from tools.perf.search_outcome import without_times


def _config(**changes: object) -> ConfigDict:
  config = tiny.get_config()
  with config.unlocked():
    config.update_from_flattened_dict(changes)
  return config


@pytest.fixture(scope='module')
def finished(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """Workdir of a finished search."""
  workdir = tmp_path_factory.mktemp('search')
  run_search(_config(), workdir)
  return workdir


def test_results_in_the_workdir(finished: pathlib.Path) -> None:
  trials = [
      json.loads(line) for line in
      (finished / 'trials.jsonl').read_text().splitlines()
  ]
  result = json.loads((finished / 'result.json').read_text())
  assert {trial['layer'] for trial in trials} == {1, 2, 3}
  assert [trial['id'] for trial in trials] == list(range(len(trials)))
  assert len({trial['architecture'] for trial in trials}) == len(trials)
  best = max(trials, key=lambda trial: trial['reward'])
  assert result['winner']['architecture'] == best['architecture']
  assert result['winner']['reward'] == best['reward']
  assert 0.05 < best['reward'] <= 1
  for name in ('config.json', 'tables.json', 'trace.html', 'pareto.png',
               'tensorboard'):
    assert (finished / name).exists(), name
  assert not list((finished / 'candidates').iterdir())


def test_a_finished_search_trains_nothing_again(
    finished: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  before = without_times(finished)

  def forbidden(*args: object, **kwargs: object) -> None:
    raise AssertionError('trained again')

  monkeypatch.setattr(evaluator, 'train_and_evaluate', forbidden)
  run_search(_config(), finished)
  assert without_times(finished) == before


def test_compiling_ahead_changes_nothing(
    finished: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  run_search(_config(compile_ahead=0), tmp_path)
  ahead, not_ahead = map(without_times, (finished, tmp_path))
  del ahead['result']['config'], not_ahead['result']['config']
  assert ahead == not_ahead
  # A search may go on with another value.
  run_search(_config(), tmp_path)


@pytest.mark.parametrize('ahead', [0, 2])
def test_what_cannot_be_compiled_is_a_failed_trial(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
  compile_programs = evaluator.compile_programs
  wide = tiny.space().network((1, 0, 0))

  def compile_some(config: object, network: object, *rest: object) -> object:
    if network == wide:
      raise RuntimeError('too wide\nfor this machine')
    return compile_programs(config, network, *rest)

  monkeypatch.setattr(evaluator, 'compile_programs', compile_some)
  config = _config(**{
      'budget.trials': 3, 'compile_ahead': ahead, 'executor.retries': 1
  })
  result = run_search(config, tmp_path)
  assert result['trials'] == {'ok': 2, 'failed': 1}
  lines = (tmp_path / 'trials.jsonl').read_text().splitlines()
  assert json.loads(lines[1])['message'] == (
      'RuntimeError: too wide (2 attempts)'
  )
  assert 'compile_some' in (tmp_path / 'failures' / '000001.txt').read_text()


_COUNTING = """
import sys
from layernas.runs.run_search import run_search
from layernas.training.programs import compilations
from tests import tiny
config = tiny.get_config()
config.budget.trials = 3
run_search(config, sys.argv[1])
print(compilations())
"""


def _compiled(workdir: pathlib.Path) -> int:
  """Programs that a search in a process of its own compiles."""
  done = subprocess.run(
      [sys.executable, '-c', _COUNTING, workdir], cwd=tiny.ROOT,
      capture_output=True, text=True, check=True,
  )
  return int(done.stdout.splitlines()[-1])


def test_a_second_run_compiles_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  """Nor does one that goes on where a trial was interrupted."""
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')
  # Two programs a network, at most four that all networks share.
  networks = 4
  assert 6 <= _compiled(tmp_path / 'first') <= 2 * networks + 4
  for name in ('checkpoints', 'candidates'):
    shutil.rmtree(tmp_path / 'first' / name)
  (tmp_path / 'first' / 'trials.jsonl').unlink()
  assert _compiled(tmp_path / 'first') == 0
  monkeypatch.setenv(
      'JAX_COMPILATION_CACHE_DIR', str(tmp_path / 'first/compilation_cache')
  )
  assert _compiled(tmp_path / 'second') == 0


def test_where_the_wall_time_went(finished: pathlib.Path) -> None:
  lines = (finished / 'timings.jsonl').read_text().splitlines()
  timings = list(map(json.loads, lines))
  trials = (finished / 'trials.jsonl').read_text().splitlines()
  assert [one['id'] for one in timings] == list(range(len(trials)))
  for one, trial in zip(timings, map(json.loads, trials), strict=True):
    spent = sum(one.values()) - one['id']
    assert one['train'] > 0
    # Compiling, training, evaluating and saving are part of the trial.
    assert spent >= trial['seconds'] > 0.5 * spent


def test_a_larger_budget_goes_on(
    finished: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  run_search(_config(**{'budget.trials': 2}), tmp_path)
  assert 'budget' in json.loads(
      (tmp_path / 'result.json').read_text()
  )['stop_reason']
  run_search(_config(), tmp_path)
  whole, resumed = without_times(finished), without_times(tmp_path)
  assert resumed['trials'] == whole['trials']
  assert resumed['tables'] == whole['tables']
  assert resumed['trace'] == whole['trace']


def test_failing_candidates_are_trials(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  calls = iter(range(100))

  def sometimes(*args: object, **kwargs: object) -> TrainResult:
    call = next(calls)
    if call == 1:
      raise NonFiniteLossError('loss is nan at step 5')
    if call == 2:
      raise RuntimeError('out of luck\nand more')
    return TrainResult({'accuracy': 0.1 + call / 100}, 10, 1.0)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', sometimes)
  result = run_search(_config(**{'executor.retries': 0}), tmp_path)
  assert result['trials']['failed'] == 1
  assert result['trials']['nan'] == 1
  assert result['winner'] is not None
  lines = (tmp_path / 'trials.jsonl').read_text().splitlines()
  assert json.loads(lines[2])['message'] == 'RuntimeError: out of luck'
  assert 'RuntimeError' in (tmp_path / 'failures' / '000002.txt').read_text()


def test_hopeless_candidates_are_stopped(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  calls = iter(range(100))

  def worse_each_time(
      *args: object, early: EarlyEvaluation, **kwargs: object
  ) -> TrainResult:
    accuracy = 0.9 - next(calls) / 10
    if early.hopeless(accuracy):
      return TrainResult({}, 5, 0.5, accuracy, stopped=True)
    return TrainResult({'accuracy': accuracy}, 10, 1.0, accuracy)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', worse_each_time)
  config = _config(**{'early_stop.fraction': 0.5, 'search.buckets': 1})
  result = run_search(config, tmp_path)
  # The first child holds the only bucket of every layer.
  assert result['trials'] == {'ok': 1, 'stopped': 3}
  assert result['winner']['reward'] == 0.9
  before = without_times(tmp_path)
  assert [trial['status'] for trial in before['trials']] == [
      'ok', 'stopped', 'stopped', 'stopped',
  ]
  assert before['trials'][1]['early_reward'] == 0.8
  assert 'were stopped' in (tmp_path / 'trace.html').read_text()
  run_search(config, tmp_path)
  assert without_times(tmp_path) == before


def test_failures_in_a_row_end_the_search(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:

  def broken(*args: object, **kwargs: object) -> None:
    raise RuntimeError('always')

  monkeypatch.setattr(evaluator, 'train_and_evaluate', broken)
  result = run_search(_config(**{'budget.failures': 2}), tmp_path)
  assert result['stop_reason'] == (
      '2 trials in a row failed, the first: RuntimeError: always (3 attempts)'
  )
  assert result['winner'] is None


def _damaged_folder(path: pathlib.Path) -> str:
  for split in ('train', 'test'):
    for label in ('a', 'b'):
      folder = path / split / label
      folder.mkdir(parents=True)
      for number in range(4):
        Image.new('RGB', (16, 16)).save(folder / f'{number}.png')
  (path / 'train' / 'a' / '2.png').write_bytes(b'no picture')
  return str(path)


_WRONG = {
    'option of no space': ({'space': 'nowhere'}, 'space'),
    'limit below the cheapest': ({'target.high': 5.0}, 'reachable are'),
    'interval upside down': (
        {'target.low': 9e4, 'target.high': 1e3}, 'target interval'
    ),
    'image too small': (
        {'space': 'tests.tiny:deep_space', 'data.image_size': 8},
        'allowed is at least 16',
    ),
    'missing folder': ({'data.source': 'folder', 'data.directory': 'nowhere'},
                       'nowhere'),
    'unknown source': ({'data.source': 'web'}, 'data.source'),
    'batch larger than the data': ({'training.batch_size': 9000}, '9000'),
    'no learning rate': ({'training.learning_rate': 0.0}, 'learning_rate'),
    'unknown optimizer': ({'training.optimizer': 'adamw'}, 'adamw'),
    'early stop without layer tables': (
        {'early_stop.fraction': 0.5, 'search.schedule': 'model_guided'},
        'early_stop.fraction',
    ),
    'unknown metric': ({'cost.metric': 'watts'}, 'watts'),
}


@pytest.mark.parametrize('case', _WRONG)
def test_wrong_input_touches_nothing(
    case: str, tmp_path: pathlib.Path
) -> None:
  changes, part = _WRONG[case]
  with pytest.raises(UserError) as error:
    run_search(_config(**changes), tmp_path / 'workdir')
  assert part in str(error.value)
  assert not (tmp_path / 'workdir').exists()


def test_damaged_image_is_no_fault_of_the_candidate(
    tmp_path: pathlib.Path,
) -> None:
  folder = _damaged_folder(tmp_path / 'images')
  changes = {'data.source': 'folder', 'data.directory': folder,
             'training.batch_size': 2, 'training.evaluation_batch_size': 2}
  with pytest.raises(UserError, match=r'2\.png'):
    run_search(_config(**changes), tmp_path / 'workdir')
  lines = tmp_path / 'workdir' / 'trials.jsonl'
  assert not lines.exists() or not lines.read_text()


def test_workdir_of_another_config(finished: pathlib.Path) -> None:
  before = {path: path.read_bytes() for path in finished.glob('*.json*')}
  with pytest.raises(UserError, match=r'seed was 0 and is 1'):
    run_search(_config(seed=1), finished)
  assert before == {
      path: path.read_bytes() for path in finished.glob('*.json*')
  }


def test_modelled_rewards(tmp_path: pathlib.Path) -> None:
  changes = {
      'search.schedule': 'model_guided', 'search.guided.design': 2,
      'budget.trials': 8,
  }
  result = run_search(_config(**changes), tmp_path)
  lines = (tmp_path / 'trials.jsonl').read_text()
  trials = [json.loads(line) for line in lines.splitlines()]
  networks = [trial['architecture'] for trial in trials]
  assert len(set(networks[:5])) == 5
  assert len({trial['seed'] for trial in trials}) == len(trials) == 8
  assert {trial['layer'] for trial in trials} == {0}
  assert result['winner']['architecture'] in networks
  assert json.loads((tmp_path / 'tables.json').read_text()) == []
  # Its layer tables hold modelled rewards: there is no decision to trace.
  assert not (tmp_path / 'trace.json').exists()
  run_search(_config(**changes), tmp_path)
  assert (tmp_path / 'trials.jsonl').read_text() == lines


def test_repeats_of_finalists_after_a_sweep(tmp_path: pathlib.Path) -> None:
  result = run_search(_config(**{'search.finalists': 0.2}), tmp_path)
  trials = without_times(tmp_path)['trials']
  networks = [trial['architecture'] for trial in trials]
  assert len(set(networks)) < len(networks)
  assert result['winner']['architecture'] in networks
  assert (tmp_path / 'trace.json').exists()
