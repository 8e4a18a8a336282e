"""What is compiled for a network, and how often."""

import dataclasses
import json
import sys
import threading

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from layernas.data.table_dataset import TableDataset
from layernas.models.initialization import constant
from layernas.models.initialization import initial_variables
from layernas.networks.flax_space import Choice
from layernas.networks.flax_space import FlaxSpace
from layernas.networks.network import Task
from layernas.training.programs import compilations
from layernas.training.programs import compile_programs
from layernas.training.programs import create_model
from layernas.training.programs import make_steps
from layernas.training.train import Job
from layernas.training.train import train_and_evaluate
from tests import processes
from tests.search import problems
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


def _job(split='train', **fields):
  config = _config(**fields)
  return Job(config, small.NETWORK, _dataset(config), split=split)


def _train(workdir, job, made=None):
  programs = made and (lambda: made)
  return train_and_evaluate(job, workdir, programs=programs).metrics


def _compile(job):
  return compile_programs(job.config, job.network, job.dataset, job.split)


@pytest.mark.parametrize('fields', [
    {'transfer': 'uint8', 'optimizer': 'tests.training.own:schedule_free'},
    pytest.param(
        {'ema_decay': 0.9, 'optimizer': 'rmsprop', 'evaluation_batch_size': 24},
        marks=pytest.mark.long,
    ),
    pytest.param({}, marks=pytest.mark.long),
    pytest.param({'transfer': 'bfloat16'}, marks=pytest.mark.long),
])
def test_a_training_compiles_nothing_else(tmp_path, fields) -> None:
  job = _job(**fields)
  # What all networks share is compiled with the first one.
  expected = _train(tmp_path / 'first', job)
  made = _compile(job)
  before = compilations()
  # From its first step on, and from a checkpoint.
  assert _train(tmp_path / 'a', job, made) == expected
  assert _train(tmp_path / 'a', job, made) == expected
  assert compilations() == before


@pytest.mark.parametrize(('optimizer', 'count'), [
    ('sgd', 2),
    pytest.param('tests.training.own:adamw', 3, marks=pytest.mark.long),
])
def test_a_network_is_two_programs_and_what_its_optimizer_begins_with(
    optimizer, count
) -> None:
  job = _job(optimizer=optimizer)
  # What all networks share is compiled with the first one.
  _compile(job)
  jax.config.update('jax_enable_compilation_cache', False)
  compilation_cache.reset_cache()  # So that JAX looks at the setting.
  try:
    before = compilations()
    _compile(dataclasses.replace(job, network=small.OTHER_NETWORK))
    assert compilations() - before == count
  finally:
    jax.config.update('jax_enable_compilation_cache', True)
    compilation_cache.reset_cache()


@pytest.mark.long
def test_compiled_in_another_thread(tmp_path) -> None:
  job = _job('all_train')
  expected = _train(tmp_path / 'a', job)
  made = []
  thread = threading.Thread(target=lambda: made.append(_compile(job)))
  thread.start()
  thread.join()
  before = compilations()
  assert _train(tmp_path / 'b', job, made[0]) == expected
  assert compilations() == before


def test_the_state_begins_with_the_variables_of_the_seed() -> None:
  job = small.job()
  model = create_model(job.config, small.NETWORK, small.CLASSES)
  jax.tree.map(
      np.testing.assert_array_equal,
      small.programs(job).initial_state(3).variables,
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


def _run_together(count):
  address = processes.free_address()
  devices = 2 // count
  ended = processes.ended(processes.start([
      [sys.executable, '-m', 'tests.training.programs_program', address,
       str(count), str(index)] for index in range(count)
  ], devices))
  assert [one.returncode for one in ended] == [0] * count, ended[0].stderr
  return [json.loads(one.stdout.splitlines()[-1]) for one in ended]


@pytest.mark.long
def test_processes_together_keep_their_programs_out_of_jax_s_caches() -> None:
  """Else every network of a search would stay in memory."""
  one, other = _run_together(2)
  assert one['compiled'] == other['compiled'] == 0
  assert one['sums'] == other['sums']
  [alone] = _run_together(1)
  assert alone == one


class _Linear(nn.Module):
  """One output from three numbers."""

  @nn.compact
  def __call__(self, x, train):
    del train
    return x @ self.param('kernel', constant(0.0), (3, 1))


def _steps_of(loss, metrics):
  """Steps of a network of a task of its own, not compiled."""
  task = Task(
      loss, metrics, lambda batch: batch['x'],
      jax.ShapeDtypeStruct((3,), jnp.float32),
  )
  space = FlaxSpace(
      [Choice('width', (1, 2))], lambda *_: _Linear(), task=task
  )
  arrays = {'x': np.zeros((16, 3), np.float32), 'y': np.zeros(16, np.float32)}
  data = TableDataset('numbers', arrays, arrays, 0.25)
  return make_steps(small.get_config(), space.network((0,)), data)


def _distance(outputs, batch):
  return abs(outputs[:, 0] - batch['y'])


def test_the_metrics_of_a_task_may_look_at_the_mask() -> None:
  state = _steps_of(_distance, lambda outputs, batch: {
      'error': _distance(outputs, batch) * batch['mask'],
  }).train[1][0]
  assert 'error' in state.sums


@pytest.mark.parametrize(('loss', 'metrics', 'parts'), [
    # Each output minus each label: columns and rows broadcast.
    (lambda outputs, batch: outputs - batch['y'], lambda *_: {},
     ["task's loss", '(2, 2)', '(2,)']),
    (lambda outputs, batch: jnp.mean(outputs), lambda *_: {},
     ["task's loss", '()', '(2,)']),
    (_distance, lambda outputs, batch: {'error': outputs},
     ["task's error", '(2, 1)', '(2,)']),
    (_distance, lambda outputs, batch: {'loss': _distance(outputs, batch)},
     ["metric 'loss'", 'other than']),
])
def test_a_task_gives_one_number_for_each_example(
    loss, metrics, parts
) -> None:
  with problems.refuses('space', *parts):
    _steps_of(loss, metrics)
