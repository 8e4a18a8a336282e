"""Tests of layernas.training.checkpoints."""

import time

import jax
import numpy as np
import optax
import pytest

from layernas.errors import UserError
from layernas.training.checkpoints import TrainingCheckpoints
from layernas.training.steps import initial_state
from layernas.training.wall_time import WallTime
from tests.training import small


def _state(step=0, width=2):
  variables = {
      'params': {'kernel': np.full((2, width), 0.1 * step, np.float32)},
      'batch_stats': {'mean': np.zeros(width, np.float32)},
  }
  state = initial_state(variables, optax.sgd(0.1, momentum=0.9), ema=True)
  return state.replace(step=np.full((), step, np.int32))


def _open(
    directory, config=None, network=small.NETWORK, seed=0, split='train'
):
  return TrainingCheckpoints(
      config or small.get_config(), network, seed, split, directory,
      WallTime(),
  )


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


@pytest.mark.parametrize('other', [
    {'network': small.OTHER_NETWORK},
    {'seed': 1},
    {'split': 'all_train'},
    {'config': small.get_config(learning_rate=0.5)},
])
def test_refuses_those_of_another_training(tmp_path, other) -> None:
  _save(tmp_path, 2, 4)
  with _open(tmp_path, **other) as run, pytest.raises(UserError) as error:
    run.restore(_state())
  assert str(error.value) == (
      f'checkpoints in {tmp_path}: of another network, config or seed; allowed'
      ' is the same, or another workdir'
  )


@pytest.mark.parametrize('section', ['data', 'model'])
def test_refuses_those_of_other_data_or_model_fields(tmp_path, section) -> None:
  _save(tmp_path, 2)
  config = small.get_config().unlock()
  field = {'data': 'crop_padding', 'model': 'dropout'}[section]
  config[section][field] += 1
  with _open(tmp_path, config) as run, pytest.raises(UserError):
    run.restore(_state())


def test_another_tree_is_refused_not_set_aside(tmp_path) -> None:
  directory = tmp_path / 'checkpoints'
  _save(directory, 2)
  state = _state(width=3).replace(ema={})
  with (
      _open(directory, network=small.OTHER_NETWORK) as run,
      pytest.raises(UserError),
  ):
    run.restore(state)
  assert [path.name for path in tmp_path.iterdir()] == ['checkpoints']
  with _open(directory) as run:
    assert run.restore(_state()).step == 2


def test_how_often_is_saved_may_change(tmp_path) -> None:
  _save(tmp_path, 2)
  config = small.get_config(checkpoint_every_steps=1)
  with _open(tmp_path, config) as run:
    assert run.restore(_state()).step == 2


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
