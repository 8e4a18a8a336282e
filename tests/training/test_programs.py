"""Tests of layernas.training.programs."""

import threading

import jax
import numpy as np
import pytest

from layernas.models.initialization import initial_variables
from layernas.training.programs import compilations
from layernas.training.programs import compile_programs
from layernas.training.programs import create_model
from layernas.training.train import train_and_evaluate
from tests.training import small


def _config(transfer='float32', **fields):
  config = small.get_config(**fields).unlock()
  config.data.transfer = transfer
  return config.lock()


def _dataset(config):
  splits = {
      'all_train': small.images(small.TRAIN + small.VALIDATION, 0),
      'test': small.images(small.TEST, 1),
  }
  return small.ArrayDataset('small', splits, small.CLASSES, config.data)


def _train(workdir, config, programs=None, split='train'):
  return train_and_evaluate(
      config, small.NETWORK, workdir, dataset=_dataset(config),
      train_split=split, programs=programs,
  ).metrics


@pytest.mark.parametrize('fields', [
    {}, {'transfer': 'bfloat16'}, {'transfer': 'uint8'},
    {'ema_decay': 0.9, 'optimizer': 'rmsprop', 'evaluation_batch_size': 24},
])
def test_a_training_compiles_nothing_else(tmp_path, fields) -> None:
  config = _config(**fields)
  # What all networks share is compiled with the first one.
  expected = _train(tmp_path / 'first', config)
  programs = compile_programs(config, small.NETWORK, _dataset(config))
  before = compilations()
  # From its first step on, and from a checkpoint.
  assert _train(tmp_path / 'a', config, lambda: programs) == expected
  assert _train(tmp_path / 'a', config, lambda: programs) == expected
  assert compilations() == before


def test_a_network_is_two_programs(tmp_path, monkeypatch) -> None:
  config = _config()
  _train(tmp_path / 'first', config)
  jax.config.update('jax_enable_compilation_cache', False)
  try:
    before = compilations()
    _train(tmp_path / 'a', config)
    assert compilations() - before == 2
  finally:
    jax.config.update('jax_enable_compilation_cache', True)


def test_compiled_in_another_thread(tmp_path) -> None:
  config = _config()
  expected = _train(tmp_path / 'a', config, split='all_train')
  made = []
  thread = threading.Thread(target=lambda: made.append(compile_programs(
      config, small.NETWORK, _dataset(config), 'all_train'
  )))
  thread.start()
  thread.join()
  before = compilations()
  metrics = _train(
      tmp_path / 'b', config, lambda: made[0], split='all_train'
  )
  assert metrics == expected
  assert compilations() == before


def test_the_state_begins_with_the_variables_of_the_seed() -> None:
  config = _config()
  programs = compile_programs(config, small.NETWORK, _dataset(config))
  model = create_model(config, small.NETWORK, small.CLASSES)
  jax.tree.map(
      np.testing.assert_array_equal, programs.initial_state(3).variables,
      initial_variables(model, small.SIDE, 3),
  )


def test_the_model_section_makes_the_model() -> None:
  config = small.get_config().unlock()
  config.model.update(
      batch_norm_momentum=0.8, batch_norm_epsilon=0.02, dropout=0.3,
      sync_batch_norm=False,
  )
  model = create_model(config, small.NETWORK, 7)
  assert model.spec is small.NETWORK
  assert model.num_classes == 7
  assert model.batch_norm_momentum == 0.8
  assert model.batch_norm_epsilon == 0.02
  assert model.dropout_rate == 0.3
  assert model.axis_name is None
  config.model.sync_batch_norm = True
  assert create_model(config, small.NETWORK, 7).axis_name == 'devices'


@pytest.mark.parametrize(('epochs', 'dropout'), [(149.0, 0.0), (150.0, 0.3)])
def test_short_trainings_drop_nothing(epochs: float, dropout: float) -> None:
  config = small.get_config(epochs=epochs).unlock()
  config.model.update(dropout=0.3, dropout_from_epochs=150.0)
  model = create_model(config, small.NETWORK, 7)
  assert model.dropout_rate == dropout
