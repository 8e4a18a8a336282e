"""Tests of layernas.training.train."""

import dataclasses
import shutil

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import jax_utils

from layernas.data.array_dataset import ArrayDataset
from layernas.errors import UserError
from layernas.models.initialization import initial_variables
from layernas.training import programs
from layernas.training import train
from layernas.training.devices import replicate
from layernas.training.programs import create_model
from layernas.training.steps import make_evaluation_step
from layernas.training.train import NonFiniteLossError
from layernas.training.train import evaluate
from layernas.training.train import train_and_evaluate
from layernas.training.train import training_steps
from tests.training import device_program
from tests.training import small

_METRICS = {'loss', 'accuracy', 'top5', 'train_loss', 'train_accuracy'}


class _PoisonedDataset(ArrayDataset):
  """Its fourth training batch has a NaN pixel."""

  def _batches(self, split, batch_size, seed, step):
    for batch in super()._batches(split, batch_size, seed, step):
      if step == 3:
        batch['image'][0, 0, 0, 0] = np.nan
      yield batch
      step += 1


class _SteepModel(nn.Module):
  """Its first loss is finite and its first gradient infinite."""

  @nn.compact
  def __call__(self, images, train):
    del train
    logits = jnp.sqrt(self.param(
        'bias', nn.initializers.zeros_init(), (small.CLASSES,)
    ))
    self.variable('batch_stats', 'mean', jnp.zeros, (1,))
    return jnp.broadcast_to(logits, (len(images), small.CLASSES))


class _InterruptionError(Exception):
  pass


def _train(workdir, network=small.NETWORK, report=None, **fields):
  fields = dict(fields)
  data = fields.pop('dataset', None) or small.dataset()
  call = {
      name: fields.pop(name)
      for name in ('seed', 'train_split', 'evaluation_split') if name in fields
  }
  return train_and_evaluate(
      small.get_config(**fields), network, workdir, dataset=data,
      report=report, **call,
  )


@pytest.fixture(name='evaluated')
def _evaluated(monkeypatch):
  """The variables of every evaluation, on the host."""
  seen = []

  def recording(step, variables, *args):
    seen.append(jax.tree.map(np.array, jax_utils.unreplicate(variables)))
    return evaluate(step, variables, *args)

  monkeypatch.setattr(train, 'evaluate', recording)
  return seen


def _assert_same_bits(left, right):
  jax.tree.map(np.testing.assert_array_equal, left, right)


def test_learns_and_reports(tmp_path) -> None:
  reports = {}
  result = _train(
      tmp_path, epochs=5.0, momentum=0.5, report=reports.__setitem__
  )
  assert result.steps == 45
  assert set(result.metrics) == _METRICS
  assert result.metrics['accuracy'] > 0.8
  assert result.metrics['top5'] == 1.0
  assert result.seconds > 0
  # Every fourth step, and the last one.
  assert list(reports) == [*range(4, 45, 4), 45]
  for metrics in reports.values():
    assert set(metrics) == {'train_loss', 'train_accuracy'}
  assert reports[45].items() <= dict(result.metrics).items()
  assert reports[45]['train_loss'] < 0.7 * reports[4]['train_loss']


@pytest.mark.parametrize('stop_at', [4, 9])
def test_a_resumed_training_is_the_uninterrupted_one(
    tmp_path, evaluated, stop_at
) -> None:
  # A dropout, momentum and an average: everything that a state holds.
  fields = {'ema_decay': 0.9, 'optimizer': 'rmsprop', 'learning_rate': 0.1}
  whole, parts = {}, {}
  expected = _train(tmp_path / 'a', report=whole.__setitem__, **fields)

  def interrupt(step, metrics):
    parts[step] = metrics
    if step == stop_at:
      raise _InterruptionError

  with pytest.raises(_InterruptionError):
    _train(tmp_path / 'b', report=interrupt, **fields)
  restarted = {}
  result = _train(tmp_path / 'b', report=restarted.__setitem__, **fields)
  assert 4 * (stop_at == 9) not in restarted  # It did not begin anew.
  assert result.metrics == expected.metrics
  assert result.steps == expected.steps == 9
  assert parts | restarted == whole
  _assert_same_bits(evaluated[0], evaluated[1])


def test_a_damaged_checkpoint_changes_nothing(tmp_path, evaluated) -> None:
  def interrupt(step, metrics):
    if step == 8:
      raise _InterruptionError

  expected = _train(tmp_path / 'a')
  with pytest.raises(_InterruptionError):
    _train(tmp_path / 'b', report=interrupt)
  checkpoints = tmp_path / 'b' / 'checkpoints'
  assert {path.name for path in checkpoints.iterdir()} == {'4', '6'}
  shutil.rmtree(checkpoints / '6' / 'tree')
  assert _train(tmp_path / 'b').metrics == expected.metrics
  _assert_same_bits(evaluated[0], evaluated[1])


def test_the_same_call_again_gives_the_same(tmp_path) -> None:
  first = _train(tmp_path)
  assert _train(tmp_path).metrics == first.metrics


def test_how_often_is_saved_changes_nothing(tmp_path) -> None:
  never = _train(tmp_path / 'a', checkpoint_every_steps=0)
  assert not list((tmp_path / 'a' / 'checkpoints').iterdir())
  always = _train(tmp_path / 'b', checkpoint_every_steps=1)
  assert never.metrics == always.metrics


def test_the_seed_decides(tmp_path) -> None:
  first, again, other = (
      _train(tmp_path / str(number), seed=seed).metrics
      for number, seed in enumerate((1, 1, 2))
  )
  assert first == again
  assert first != other


@pytest.mark.parametrize('other', [
    {'network': small.OTHER_NETWORK}, {'seed': 1}, {'momentum': 0.5},
])
def test_refuses_checkpoints_of_another_training(tmp_path, other) -> None:
  _train(tmp_path)
  with pytest.raises(UserError, match='of another network, config or seed'):
    _train(tmp_path, **other)


def test_a_huge_learning_rate_is_a_nonfinite_loss(tmp_path) -> None:
  with pytest.raises(NonFiniteLossError, match=r'loss is (nan|inf) at step 4'):
    _train(tmp_path, learning_rate=1e38)


def test_one_bad_batch_is_a_nonfinite_loss_at_every_start(tmp_path) -> None:
  for _ in range(2):
    with pytest.raises(NonFiniteLossError, match='loss is nan at step 4'):
      _train(tmp_path, dataset=small.dataset(_PoisonedDataset))


def test_a_bad_gradient_of_the_last_step_is_noticed(
    tmp_path, monkeypatch
) -> None:
  monkeypatch.setattr(programs, 'create_model', lambda *_: _SteepModel())
  with pytest.raises(NonFiniteLossError, match='gradient is not finite'):
    _train(tmp_path, epochs=0.01)


def test_evaluates_the_average_where_there_is_one(tmp_path) -> None:
  config = small.get_config(
      ema_decay=0.9, schedule='constant', learning_rate=1.6
  )
  data = small.dataset()
  result = train_and_evaluate(config, small.NETWORK, tmp_path, dataset=data)
  # The same nine steps at the same rate, 1.6 * 8 / 256.
  state = device_program.train(config, small.NETWORK, 9, batch_size=8)
  step = make_evaluation_step(
      create_model(config, small.NETWORK, small.CLASSES)
  )
  average, last = (
      evaluate(step, variables, data, 'validation', 8)
      for variables in (state.ema, state.variables)
  )
  for name in ('loss', 'accuracy', 'top5'):
    assert result.metrics[name] == pytest.approx(average[name], rel=1e-5)
  assert abs(last['loss'] - average['loss']) > 1e-3


def test_every_image_counts_once() -> None:
  config = small.get_config()
  data = small.dataset()
  model = create_model(config, small.NETWORK, small.CLASSES)
  variables = initial_variables(model, small.SIDE, seed=3)
  replicated = replicate(variables)
  step = make_evaluation_step(model)
  devices = jax.local_device_count()
  read, labels = small.images(small.TEST, 1)
  images = read()
  logits = model.apply(
      variables, images.astype(np.float32) / 127.5 - 1, train=False
  )
  shares = np.asarray(jax.nn.log_softmax(logits))
  expected = {
      'loss': -np.mean(shares[np.arange(small.TEST), labels]),
      'accuracy': np.mean(np.argmax(np.asarray(logits), axis=1) == labels),
      'top5': 1.0,
  }
  for batch_size in (1, 4, 13, 64):
    metrics = evaluate(step, replicated, data, 'test', batch_size * devices)
    assert metrics == pytest.approx(expected, abs=1e-6), batch_size


def test_trains_and_evaluates_on_the_splits_it_is_given(tmp_path) -> None:
  result = _train(
      tmp_path, train_split='all_train', evaluation_split='test'
  )
  assert result.steps == 12
  # Shares of 13 images.
  assert result.metrics['accuracy'] * 13 == pytest.approx(
      round(result.metrics['accuracy'] * 13), abs=1e-6
  )


def test_bfloat16_trains_float32_parameters(tmp_path, evaluated) -> None:
  config = small.get_config(epochs=5.0, momentum=0.5).unlock()
  config.model.dtype = 'bfloat16'
  result = train_and_evaluate(
      config, small.NETWORK, tmp_path, dataset=small.dataset()
  )
  assert result.metrics['accuracy'] > 0.8
  assert {leaf.dtype for leaf in jax.tree.leaves(evaluated)} == {
      np.dtype(np.float32)
  }


@pytest.mark.parametrize(
    ('epochs', 'examples', 'steps'),
    [(1.0, 72, 9), (1.0, 79, 9), (0.5, 80, 5), (2.4, 80, 24), (0.01, 80, 1)],
)
def test_epochs_are_cut_to_whole_batches(epochs, examples, steps) -> None:
  training = small.get_config(epochs=epochs).training
  assert training_steps(training, examples) == steps


def test_results_cannot_be_changed(tmp_path) -> None:
  result = train.TrainResult({}, 1, 2.0)
  with pytest.raises(dataclasses.FrozenInstanceError):
    result.steps = 2
