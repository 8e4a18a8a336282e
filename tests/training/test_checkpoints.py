"""Where a training goes on after an interruption."""

import dataclasses
import hashlib
import json
import time

import jax
import numpy as np
import pytest

from layernas.errors import UserError
from layernas.training.checkpoints import TrainingCheckpoints
from layernas.training.optimizer import make_optimizer
from layernas.training.steps import initial_state
from layernas.training.train import EarlyEvaluation
from layernas.training.wall_time import WallTime
from tests.training import small


def _state(step=0, width=2):
  variables = {
      'params': {'kernel': np.full((2, width), 0.1 * step, np.float32)},
      'batch_stats': {'mean': np.zeros(width, np.float32)},
  }
  optimizer = make_optimizer(small.get_config().training, lambda step: 0.1)
  init = optimizer.compile_init(variables['params'])
  state = initial_state(variables, init(variables['params']), ema=True)
  return state.replace(step=np.full((), step, np.int32))


def _open(directory, seed=0):
  identity = small.job(seed=seed).identity()
  return TrainingCheckpoints(directory, identity, WallTime())


def _save(directory, *steps):
  with _open(directory) as run:
    for step in steps:
      run.save(step, _state(step))


def test_gives_the_state_back_where_there_is_none(tmp_path) -> None:
  state = _state()
  with _open(tmp_path) as run:
    assert run.restore(state) is state


def test_restores_the_last_state(tmp_path) -> None:
  _save(tmp_path, 2, 4)
  with _open(tmp_path) as run:
    restored = run.restore(_state())
  assert jax.tree.structure(restored) == jax.tree.structure(_state(4))
  jax.tree.map(np.testing.assert_array_equal, restored, _state(4))


def test_those_of_another_training_are_refused_not_set_aside(tmp_path) -> None:
  directory = tmp_path / 'checkpoints'
  _save(directory, 2)
  # A tree that those of the other training do not fit either.
  state = _state(width=3).replace(ema={})
  with _open(directory, 1) as run, pytest.raises(UserError) as error:
    run.restore(state)
  assert str(error.value) == (
      f'checkpoints in {directory}: of another network, config or seed; allowed'
      ' is the same, or another workdir'
  )
  assert [path.name for path in tmp_path.iterdir()] == ['checkpoints']
  with _open(directory) as run:
    assert run.restore(_state()).step == 2


def _changed(section, field, value):
  job = small.job()
  config = job.config.copy_and_resolve_references().unlock()
  config[section][field] = value
  return dataclasses.replace(job, config=config)


@pytest.mark.parametrize(('other', 'same'), [
    (small.job(network=small.OTHER_NETWORK), False),
    (small.job(seed=1), False),
    (dataclasses.replace(small.job(), split='all_train'), False),
    (small.job(learning_rate=0.5), False),
    (_changed('data', 'crop_padding', 2), False),
    (_changed('model', 'dropout', 0.5), False),
    (_changed('final', 'epochs', 7.0), True),
    (_changed('data', 'augment_on', 'device'), True),
    # How often is saved may change.
    (small.job(checkpoint_every_steps=1), True),
])
def test_what_makes_it_another_training(other, same) -> None:
  record = {'identity': small.job().identity().to_dict()}
  assert other.identity().matches(record) == same


def test_another_early_evaluation_makes_it_another_training() -> None:
  job = small.job()
  early = [
      job.identity(early) for early in (
          None, EarlyEvaluation(0.25, bool), EarlyEvaluation(0.5, bool)
      )
  ]
  for one in early:
    record = {'identity': one.to_dict()}
    assert [other.matches(record) for other in early] == [
        other is one for other in early
    ]


def test_an_older_version_recorded_fewer_fields() -> None:
  """Absent ones stand at their defaults; a network says only what it sets."""
  identity = small.job().identity()
  record = {'identity': identity.to_dict()}
  del record['identity']['training']['rms_decay']
  del record['identity']['model']['dropout']
  assert identity.matches(record)
  assert not small.job(rms_decay=0.5).identity().matches(record)
  assert not _changed('model', 'dropout', 0.5).identity().matches(record)
  assert 'activation' not in json.dumps(record['identity']['network'])


@pytest.mark.parametrize('with_settings', [True, False])
def test_a_fingerprint_of_an_older_version_counts(with_settings) -> None:
  """It was made of the fields of its time, those of sections or none."""
  job = small.job()
  data, training = (job.config[n].to_dict() for n in ('data', 'training'))
  del training['checkpoint_every_steps']
  if not with_settings:
    del data['settings']
    del training['optimizer_settings'], training['schedule_settings']
  model = job.config.model.to_dict()
  for field in ('augment_on', 'bits', 'crop_fallback', 'decoder', 'deviation',
                'evaluation_margin', 'mean', 'min_object_covered'):
    del data[field]
  for field in ('classifier_deviation', 'deterministic', 'initialization',
                'matmul_precision'):
    del model[field]
  sections = {'data': data, 'model': model}
  text = json.dumps(
      [sections, training, job.network.to_dict(), job.seed, job.split],
      sort_keys=True,
  )
  record = {'fingerprint': hashlib.sha256(text.encode()).hexdigest()}
  assert job.identity().matches(record)
  assert not small.job(learning_rate=0.5).identity().matches(record)
  # A field of a later version, at whatever value.
  later = job.config.copy_and_resolve_references().unlock()
  later.training.later_field = 3
  assert dataclasses.replace(job, config=later).identity().matches(record)


def test_seconds_go_on_where_the_last_save_was(tmp_path, monkeypatch) -> None:
  now = [100.0]
  monkeypatch.setattr(time, 'monotonic', lambda: now[0])
  first = _open(tmp_path)
  now[0] += 7.0
  assert first.seconds() == 7.0
  with first:
    first.save(1, _state(1))
  now[0] = 5000.0
  second = _open(tmp_path)
  now[0] += 0.5
  with second:
    second.restore(_state())
  assert second.seconds() == 7.5
