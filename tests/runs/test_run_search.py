"""Searches in this process, with real trainings and with made-up ones."""

import errno
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest
from PIL import Image

from layernas.errors import Preempted
from layernas.errors import TrialError
from layernas.errors import UserError
from layernas.reports.hooks import Hook
from layernas.runs import evaluator
from layernas.runs.run_search import run_search
from layernas.storage.storage_errors import StorageError
from layernas.training.train import EarlyEvaluation
from layernas.training.train import Job
from layernas.training.train import NonFiniteLossError
from layernas.training.train import TrainResult
from tests import programs
from tests import tiny
from tests.fake_gcs import Bucket
from tools.perf.search_outcome import without_times


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


def test_a_finished_search_trains_nothing_again(
    finished: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  before = without_times(finished)

  def forbidden(*args: object, **kwargs: object) -> None:
    raise AssertionError('trained again')

  monkeypatch.setattr(evaluator, 'train_and_evaluate', forbidden)
  run_search(tiny.get_config(), finished)
  assert without_times(finished) == before


class _Ends(Hook):
  """Ends the search in its second training, as a person or a machine does."""

  def __init__(self, how):
    self._how = how

  def after_step(self, training, step, metrics):
    del metrics
    if (training.candidate.id, step) == (1, 5):
      self._how()


def _ctrl_c() -> None:
  raise KeyboardInterrupt


@pytest.mark.long
@pytest.mark.parametrize(('how', 'error'), [
    (_ctrl_c, KeyboardInterrupt),
    (lambda: signal.raise_signal(signal.SIGTERM), Preempted),
])
def test_an_interrupted_search_goes_on(
    finished: pathlib.Path, tmp_path: pathlib.Path, how, error
) -> None:
  with pytest.raises(error):
    run_search(tiny.get_config(), tmp_path, [_Ends(how)])
  left = tmp_path / 'candidates' / '000001' / 'checkpoints'
  assert any(path.name.isdigit() for path in left.iterdir())
  # A larger budget, too, goes on with what there is.
  for trials in (2, 3):
    run_search(tiny.changed(**{'budget.trials': trials}), tmp_path)
    result = json.loads((tmp_path / 'result.json').read_text())
    assert result['stop_reason'] == f'budget of {trials} trials spent'
    assert without_times(tmp_path)['trials'] == (
        without_times(finished)['trials'][:trials]
    )


@pytest.mark.long
def test_compiling_ahead_changes_nothing(
    finished: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  run_search(tiny.changed(compile_ahead=0), tmp_path)
  ahead, not_ahead = map(without_times, (finished, tmp_path))
  del ahead['result']['config'], not_ahead['result']['config']
  assert ahead == not_ahead


@pytest.mark.long
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
  config = tiny.changed(**{
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
from tests import programs
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


@pytest.mark.long
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
  result = run_search(tiny.changed(**{'executor.retries': 0}), tmp_path)
  assert result['trials']['failed'] == 1
  assert result['trials']['nan'] == 1
  assert result['winner'] is not None
  lines = (tmp_path / 'trials.jsonl').read_text().splitlines()
  assert json.loads(lines[2])['message'] == 'RuntimeError: out of luck'
  assert 'RuntimeError' in (tmp_path / 'failures' / '000002.txt').read_text()


@pytest.mark.long
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
  config = tiny.changed(**{'early_stop.fraction': 0.5, 'search.buckets': 1})
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
  result = run_search(tiny.changed(**{'budget.failures': 2}), tmp_path)
  assert result['stop_reason'] == (
      '2 trials in a row failed, the first: RuntimeError: always (3 attempts)'
  )
  assert result['winner'] is None


@pytest.mark.long
@pytest.mark.parametrize(('flags', 'code', 'words'), [
    (['--config.target.low=1', '--config.target.high=40_000'], 0, ''),
    (['--config.target.low=40_000', '--config.target.high=41_000'], 1,
     'no network was found with a cost in the target, from 40,000 to 41,000'),
    (['--config.training.learning_rate=1e30'], 1, 'no trial succeeded'),
])
def test_a_script_sees_whether_a_network_was_found(
    tmp_path: pathlib.Path, flags: list[str], code: int, words: str
) -> None:
  done = programs.run(
      'search', '--config=tests/tiny.py', f'--workdir={tmp_path}/a b',
      '--config.budget.trials=1', '--config.training.epochs=0.02', *flags,
  )
  assert done.returncode == code, done.stderr
  assert (tmp_path / 'a b' / 'result.json').exists()
  if code:
    [line] = done.stderr.splitlines()
    assert line.startswith('error: ')
    assert words in line
  else:
    assert done.stdout.splitlines()[-1] == (
        f"next: ./launch.sh train --architecture='{tmp_path}/a b/result.json'"
    )


@pytest.mark.parametrize(('broken', 'parts'), [
    (NonFiniteLossError('loss is nan at step 5'), ('loss is nan at step 5',)),
    (TypeError('out of luck'), ('TypeError: out of luck', 'in sometimes')),
])
def test_the_first_failure_ends_the_search_where_the_config_says_so(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
    broken: Exception, parts: tuple[str, ...],
) -> None:
  breaks = True

  def sometimes(job: Job, *args: object, **kwargs: object) -> TrainResult:
    if breaks and len(_trials(tmp_path)) == 2:
      raise broken
    return TrainResult({'accuracy': job.seed % 89 / 100}, 10, 1.0)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', sometimes)
  config = tiny.changed(compile_ahead=0, raise_failures=True)
  with pytest.raises(TrialError) as error:
    run_search(config, tmp_path)
  for part in ('trial 2, ', 'Traceback (most recent call last)', *parts):
    assert part in str(error.value)
  assert len(_trials(tmp_path)) == 2
  # Nothing of the failure is kept: it may be healed.
  breaks = False
  with config.unlocked():
    config.raise_failures = False
  assert run_search(config, tmp_path)['trials'] == {'ok': 6}


def _trials(workdir: pathlib.Path) -> list[str]:
  path = workdir / 'trials.jsonl'
  return path.read_text().splitlines() if path.exists() else []


def test_damaged_image_is_no_fault_of_the_candidate(
    tmp_path: pathlib.Path,
) -> None:
  folder = tmp_path / 'images'
  for name in ('train/a', 'train/b', 'test/a', 'test/b'):
    (folder / name).mkdir(parents=True)
    for number in range(4):
      Image.new('RGB', (16, 16)).save(folder / name / f'{number}.png')
  (folder / 'train' / 'a' / '2.png').write_bytes(b'no picture')
  changes = {'data.source': 'folder', 'data.directory': str(folder),
             'training.batch_size': 2, 'training.evaluation_batch_size': 2}
  with pytest.raises(UserError, match=r'2\.png'):
    run_search(tiny.changed(**changes), tmp_path / 'workdir')
  lines = tmp_path / 'workdir' / 'trials.jsonl'
  assert not lines.exists() or not lines.read_text()


@pytest.fixture(name='trained')
def _trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
  """Seeds of the candidates that were trained, in no time."""
  seeds = []

  def train(job, *args, **named):
    seeds.append(job.seed)
    return TrainResult({'accuracy': job.seed % 89 / 100}, 10, 1.0)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', train)
  return seeds


def _fill_disk(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
  """Lets so many files be written to their end, and no other one."""
  fsync, left = os.fsync, iter(range(writes))

  def full(descriptor: int) -> None:
    if next(left, None) is None:
      os.ftruncate(descriptor, os.fstat(descriptor).st_size - 5)
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    fsync(descriptor)

  monkeypatch.setattr(os, 'fsync', full)


@pytest.mark.long
def test_a_full_disk_is_one_line_and_no_trial(
    tmp_path: pathlib.Path, trained
) -> None:
  whole, full = tmp_path / 'whole', tmp_path / 'full'
  config = tiny.changed(compile_ahead=0)
  # From its first file on, and in the middle of the search.
  for writes in (0, 9):
    with pytest.MonkeyPatch.context() as monkeypatch:
      _fill_disk(monkeypatch, writes)
      with pytest.raises(StorageError, match=f'^workdir {full}: No space'):
        run_search(config, full)
    assert bool(trained) == bool(writes)
  assert not (full / 'failures').exists()
  assert not (full / 'result.json').exists()
  run_search(config, full)
  run_search(config, whole)
  assert without_times(full) == without_times(whole)


def test_a_workdir_that_goes_away_is_one_line(
    tmp_path: pathlib.Path, trained, monkeypatch: pytest.MonkeyPatch
) -> None:
  train = evaluator.train_and_evaluate

  def last(*args, **named):
    if len(trained) == 2:
      shutil.rmtree(tmp_path / 'run')
    return train(*args, **named)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', last)
  with pytest.raises(StorageError, match=f'^workdir {tmp_path}/run: is gone'):
    run_search(tiny.changed(compile_ahead=0), tmp_path / 'run')
  # And not the search that would begin in an empty directory.
  assert len(trained) == 3


@pytest.mark.long
def test_a_search_in_a_bucket(
    bucket: Bucket, tmp_path: pathlib.Path, trained: list[int]
) -> None:
  config = tiny.changed(compile_ahead=0)
  run_search(config, tmp_path / 'disk')
  del trained[:]
  run_search(
      tiny.changed(compile_ahead=0, **{'budget.trials': 2}), f'{bucket.url}/run'
  )
  run_search(config, f'{bucket.url}/run')
  assert len(trained) == len(set(trained)) == 6
  bucket.download(tmp_path)
  assert without_times(tmp_path / 'run') == without_times(tmp_path / 'disk')
  with pytest.raises(UserError, match='gs://nowhere'):
    run_search(config, 'gs://nowhere/run')


@pytest.mark.long
def test_modelled_rewards(
    tmp_path: pathlib.Path, trained: list[int]
) -> None:
  changes = {
      'search.schedule': 'model_guided', 'search.guided.design': 2,
      'budget.trials': 8, 'compile_ahead': 0,
  }
  result = run_search(tiny.changed(**changes), tmp_path)
  lines = (tmp_path / 'trials.jsonl').read_text()
  trials = [json.loads(line) for line in lines.splitlines()]
  networks = [trial['architecture'] for trial in trials]
  assert len(set(networks)) >= 4
  assert len({trial['seed'] for trial in trials}) == len(trials) == 8
  assert {trial['layer'] for trial in trials} == {0}
  assert result['winner']['architecture'] in networks
  assert json.loads((tmp_path / 'tables.json').read_text()) == []
  # Its layer tables hold modelled rewards: there is no decision to trace.
  assert not (tmp_path / 'trace.json').exists()
  assert len(trained) == 8
  run_search(tiny.changed(**changes), tmp_path)
  assert (tmp_path / 'trials.jsonl').read_text() == lines


def test_repeats_of_finalists_after_a_sweep(
    tmp_path: pathlib.Path, trained: list[int]
) -> None:
  config = tiny.changed(compile_ahead=0, **{'search.finalists': 0.2})
  result = run_search(config, tmp_path)
  trials = without_times(tmp_path)['trials']
  networks = [trial['architecture'] for trial in trials]
  assert len(set(networks)) < len(networks)
  assert result['winner']['architecture'] in networks
  assert len(trained) == len(trials)
  assert (tmp_path / 'trace.json').exists()
