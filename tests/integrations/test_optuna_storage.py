"""Tests of layernas.integrations.optuna_storage, against Optuna itself."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import optuna
import pytest
from optuna.trial import TrialState

from layernas.integrations.optuna_storage import export_workdir
from layernas.search import Evaluation
from layernas.search import Status
from tests import tiny
from tests.search import problems

STORED = tiny.ROOT / 'docs' / 'results' / 'cifar10_small'


@pytest.fixture(autouse=True)
def _quiet():
  optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def storage():
  return optuna.storages.InMemoryStorage()


def write(workdir, trials, **changes):
  """A workdir with these trials of the tiny search."""
  workdir.mkdir(exist_ok=True)
  config = tiny.changed(**changes)
  (workdir / 'config.json').write_text(json.dumps(config.to_dict()))
  (workdir / 'trials.jsonl').write_text(''.join(
      json.dumps(trial.to_dict()) + '\n' for trial in trials
  ))
  os.utime(workdir / 'trials.jsonl', (1e9, 1e9))
  return workdir


def test_a_stored_search_has_the_same_best(storage):
  study = export_workdir(STORED, storage)
  loaded = optuna.load_study(study_name='cifar10_small', storage=storage)
  records = [
      json.loads(line)
      for line in (STORED / 'trials.jsonl').read_text().splitlines()
  ]
  assert len(loaded.trials) == len(study.trials) == len(records) == 64
  inside = [
      one for one in records
      if one['cost'] <= 1.8e6 and one['architecture'][0].isdigit()
  ]
  best = max(inside, key=lambda one: one['reward'])
  assert loaded.best_trial.number == best['id']
  assert loaded.best_trial.user_attrs['architecture'] == best['architecture']
  winner = json.loads((STORED / 'result.json').read_text())['winner']
  assert loaded.user_attrs['winner'] == winner['trial']
  assert loaded.user_attrs['space'] == 'cifar10_large'
  for record, trial in zip(records, loaded.trials, strict=True):
    assert trial.value == record['reward']
    assert trial.user_attrs['cost'] == record['cost']
    assert trial.user_attrs['loss'] == record['metrics']['loss']
    took = trial.datetime_complete - trial.datetime_start
    assert took.total_seconds() == pytest.approx(record['seconds'], abs=1e-3)
    # References are no networks of the space.
    assert bool(trial.params) == record['architecture'][0].isdigit()
  first = loaded.trials[0].params
  assert first['stem'] == 'filters=16'
  assert first['squeeze1'] == 'squeeze=None'


def test_states_constraints_and_times(tmp_path, storage):
  trials = tiny.searched().trials
  outcomes = [
      Evaluation(None, 3.0, Status.FAILED, 'out of memory'),
      Evaluation(None, 3.0, Status.STOPPED, 'hopeless', early_reward=0.1),
      Evaluation(float('nan'), 3.0),
      Evaluation(9.0, 3.0, metrics={'accuracy': 0.5}),
  ]
  trials = [
      dataclasses.replace(trial, evaluation=outcome)
      for trial, outcome in zip(trials, outcomes, strict=False)
  ]
  limit = trials[3].candidate.cost - 10
  write(tmp_path / 'run', trials, **{'target.high': float(limit)})
  study = export_workdir(tmp_path / 'run', storage, 'mine')
  assert study.study_name == 'mine'
  assert [trial.state for trial in study.trials] == [
      TrialState.FAIL, TrialState.PRUNED, TrialState.FAIL, TrialState.COMPLETE,
  ]
  assert study.trials[0].user_attrs['message'] == 'out of memory'
  assert study.trials[3].constraints == {'0': 10.0}
  with pytest.raises(ValueError, match='feasible'):
    _ = study.best_trial
  ends = [trial.datetime_complete.timestamp() for trial in study.trials]
  assert ends == [1e9 - 9, 1e9 - 6, 1e9 - 3, 1e9]
  starts = [trial.datetime_start.timestamp() for trial in study.trials]
  assert starts == [end - 3 for end in ends]


def test_limits_on_further_metrics_are_constraints(tmp_path, storage):
  trials = [
      dataclasses.replace(trial, evaluation=Evaluation(float(number), 3.0))
      for number, trial in enumerate(tiny.searched().trials[:3])
  ]
  workdir = write(tmp_path / 'run', trials, **{'limits.params': 100.0})
  (workdir / 'further_costs.jsonl').write_text(''.join(
      json.dumps({'id': trial.candidate.id, 'params': params}) + '\n'
      for trial, params in zip(trials, (90, 100, 107), strict=True)
  ))
  study = export_workdir(workdir, storage)
  assert [
      list(trial.constraints.values())[-1] for trial in study.trials
  ] == [-10.0, 0.0, 7.0]
  # The last has the best reward.
  assert study.best_trial.number == 1


def test_a_running_search_is_exported_again_and_again(tmp_path, storage):
  trials = tiny.searched().trials
  for count in (0, 2, 2, len(trials)):
    write(tmp_path / 'run', trials[:count])
    study = export_workdir(tmp_path / 'run', storage)
    assert len(study.trials) == count
  assert [trial.user_attrs['seed'] for trial in study.trials] == [
      trial.candidate.seed for trial in trials
  ]
  assert len(optuna.get_all_study_names(storage)) == 1


def test_another_searchs_study_is_left_alone(tmp_path, storage):
  trials = tiny.searched().trials
  export_workdir(write(tmp_path / 'run', trials), storage)
  for others in (
      trials[:2],
      [dataclasses.replace(
          trials[0],
          candidate=dataclasses.replace(trials[0].candidate, seed=1),
      ), *trials[1:]],
  ):
    write(tmp_path / 'run', others)
    with problems.refuses("study 'run'", 'trials of another search'):
      export_workdir(tmp_path / 'run', storage)
  study = optuna.load_study(study_name='run', storage=storage)
  assert len(study.trials) == len(trials)


def test_a_damaged_result_is_named(tmp_path, storage):
  write(tmp_path / 'run', tiny.searched().trials[:1])
  (tmp_path / 'run' / 'result.json').write_text('{"winner": 3}')
  with problems.refuses(f'file {tmp_path}/run/result.json', 'is damaged'):
    export_workdir(tmp_path / 'run', storage)


@pytest.mark.parametrize('url', [
    'search.db', 'nosuch://x', 'redis://host', 'sqlite:///no/such/place/x.db',
])
def test_a_storage_that_cannot_be_used_is_named(tmp_path, monkeypatch, url):
  monkeypatch.chdir(tmp_path)
  write(tmp_path / 'run', tiny.searched().trials[:1])
  with problems.refuses(f'storage {url}: ', 'sqlite:///search.db'):
    export_workdir(tmp_path / 'run', url)
  with problems.refuses('has no trials.jsonl'):
    export_workdir(tmp_path, url)


@pytest.mark.long
def test_the_program_writes_a_database(tmp_path):
  shutil.copytree(STORED, tmp_path / 'run')
  lines = (STORED / 'trials.jsonl').read_text().splitlines(keepends=True)
  (tmp_path / 'run' / 'trials.jsonl').write_text(''.join(lines[:3]))
  url = f'sqlite:///{tmp_path}/search.db'
  done = subprocess.run(
      [
          sys.executable, str(tiny.ROOT / 'tools' / 'export_to_optuna.py'),
          str(tmp_path / 'run'), f'--storage={url}', '--study=one',
      ],
      capture_output=True, text=True, cwd=tiny.ROOT,
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.splitlines()[-1] == 'study one: 3 trials'
  study = optuna.load_study(study_name='one', storage=url)
  assert [trial.number for trial in study.trials] == [0, 1, 2]
