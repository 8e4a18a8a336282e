"""Training and evaluating one network."""

import dataclasses
import functools
import shutil
import signal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import jax_utils

from layernas.data.array_dataset import ArrayDataset
from layernas.data.registry import load_dataset
from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.models.initialization import initial_variables
from layernas.training import hosts
from layernas.training import programs
from layernas.training import train
from layernas.training.devices import replicate
from layernas.training.programs import create_model
from layernas.training.steps import make_evaluation_step
from layernas.training.train import EarlyEvaluation
from layernas.training.train import Job
from layernas.training.train import NonFiniteLossError
from layernas.training.train import evaluate
from layernas.training.train import measured_rate
from layernas.training.train import train_and_evaluate
from layernas.training.train import training_steps
from layernas.training.wall_time import WallTime
from tests.training import device_program
from tests.training import small

_METRICS = {'loss', 'accuracy', 'top5', 'train_loss', 'train_accuracy'}


class _PoisonedDataset(ArrayDataset):
  """Its fourth training batch has a NaN pixel."""

  def _batches(self, split, batch_size, seed, step, part):
    for batch in super()._batches(split, batch_size, seed, step, part):
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


def _train(workdir, job, **named):
  """Trains with programs that jobs like it share."""
  return train_and_evaluate(
      job, workdir, programs=lambda: small.programs(job), **named
  )


def _interrupt(stop_at, step, metrics):
  del metrics
  if step == stop_at:
    raise _InterruptionError


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
  reports, clock = {}, WallTime()
  result = train_and_evaluate(
      small.job(epochs=5.0, momentum=0.5), tmp_path,
      hooks=[reports.__setitem__], wall_time=clock,
  )
  assert result.steps == 45
  assert set(result.metrics) == _METRICS
  assert result.metrics['accuracy'] > 0.8
  assert result.metrics['top5'] == 1.0
  assert result.seconds > 0
  # Every fourth step, and the last one.
  assert list(reports) == [*range(4, 45, 4), 45]
  last = reports[45]
  for name in ('train_loss', 'train_accuracy'):
    assert last.pop(name) == result.metrics[name]
  assert result.metrics['train_loss'] < 0.7 * reports[4]['train_loss']
  # A cosine from 1.0 per 256 images, in batches of 8, after 44 steps of 45.
  rate = 1 / 32 * (1 + np.cos(np.pi * 44 / 45)) / 2
  assert last.pop('learning_rate') == pytest.approx(rate, rel=1e-3)
  assert last.pop('steps_per_second') > 1
  assert not last
  assert all(clock.seconds()[phase] > 0 for phase in clock.seconds())


@pytest.mark.parametrize(('optimizer', 'stop_at'), [
    ('rmsprop', 9),
    pytest.param('tests.training.own:schedule_free', 5, marks=pytest.mark.long),
    pytest.param('rmsprop', 4, marks=pytest.mark.long),
    pytest.param('tests.training.own:adamw', 5, marks=pytest.mark.long),
])
def test_a_resumed_training_is_the_uninterrupted_one(
    tmp_path, evaluated, optimizer, stop_at
) -> None:
  # Momentum, an average and the optimiser's own: everything that a state holds.
  job = small.job(
      ema_decay=0.9, optimizer=optimizer, learning_rate=0.1, log_every_steps=1
  )
  whole, parts, restarted = {}, {}, {}
  expected = _train(tmp_path / 'a', job, hooks=[whole.__setitem__])
  stop = functools.partial(_interrupt, stop_at)
  with pytest.raises(_InterruptionError):
    _train(tmp_path / 'b', job, hooks=[parts.__setitem__, stop])
  result = _train(tmp_path / 'b', job, hooks=[restarted.__setitem__])
  assert min(restarted) == (stop_at - 1) // 2 * 2 + 1  # It did not begin anew.
  assert result.metrics == expected.metrics
  assert result.steps == expected.steps == 9
  losses = [
      {step: metrics['train_loss'] for step, metrics in one.items()}
      for one in (whole, parts | restarted)
  ]
  assert losses[0] == losses[1]
  _assert_same_bits(evaluated[0], evaluated[1])


@pytest.mark.long
def test_a_training_goes_on_where_devices_augment(tmp_path, evaluated) -> None:
  """What the host began with bits of its own making is gone on with."""
  host = small.job(learning_rate=0.1, log_every_steps=1)
  config = host.config.copy_and_resolve_references().unlock()
  config.data.augment_on = 'device'
  device = dataclasses.replace(
      host, config=config.lock(), dataset=small.dataset(augment_on='device')
  )
  expected = _train(tmp_path / 'a', host)
  with pytest.raises(_InterruptionError):
    _train(tmp_path / 'b', host, hooks=[functools.partial(_interrupt, 5)])
  restarted = {}
  result = _train(tmp_path / 'b', device, hooks=[restarted.__setitem__])
  assert list(restarted) == [5, 6, 7, 8, 9]
  assert result.metrics == expected.metrics
  _assert_same_bits(evaluated[0], evaluated[1])


def test_a_preempted_training_saves_and_goes_on(tmp_path) -> None:
  job = small.job(log_every_steps=1)

  def preempt(step, metrics):
    del metrics
    if step == 3:
      signal.raise_signal(signal.SIGTERM)

  restarted = {}
  with hosts.listening(), pytest.raises(Preempted, match='after step 3 of 9'):
    _train(tmp_path, job, hooks=[preempt])
  with hosts.listening():
    result = _train(tmp_path, job, hooks=[restarted.__setitem__])
  assert list(restarted) == list(range(4, 10))
  # The same call again goes on as well; how often is saved changes nothing.
  assert _train(tmp_path, job).metrics == result.metrics
  never = small.job(log_every_steps=1, checkpoint_every_steps=0)
  assert _train(tmp_path / 'a', never).metrics == result.metrics
  assert not list((tmp_path / 'a' / 'checkpoints').iterdir())


@pytest.mark.long
def test_a_damaged_checkpoint_changes_nothing(tmp_path, evaluated) -> None:
  job = small.job()
  expected = _train(tmp_path / 'a', job)
  with pytest.raises(_InterruptionError):
    _train(tmp_path / 'b', job, hooks=[functools.partial(_interrupt, 8)])
  checkpoints = tmp_path / 'b' / 'checkpoints'
  assert {path.name for path in checkpoints.iterdir()} == {'4', '6'}
  shutil.rmtree(checkpoints / '6' / 'tree')
  assert _train(tmp_path / 'b', job).metrics == expected.metrics
  _assert_same_bits(evaluated[0], evaluated[1])


@pytest.mark.long
def test_the_seed_decides(tmp_path) -> None:
  first, again, other = (
      _train(tmp_path / str(number), small.job(seed=seed)).metrics
      for number, seed in enumerate((1, 1, 2))
  )
  assert first == again
  assert first != other
  with pytest.raises(UserError, match='of another network, config or seed'):
    _train(tmp_path / '0', small.job(seed=2))


def test_a_huge_learning_rate_is_a_nonfinite_loss(tmp_path) -> None:
  with pytest.raises(NonFiniteLossError, match=r'loss is (nan|inf) at step 4'):
    _train(tmp_path, small.job(learning_rate=1e38))


def test_one_bad_batch_is_a_nonfinite_loss_at_every_start(tmp_path) -> None:
  data = small.dataset(_PoisonedDataset)
  job = Job(small.get_config(), small.NETWORK, data)
  for _ in range(2):
    with pytest.raises(NonFiniteLossError, match='loss is nan at step 4'):
      _train(tmp_path, job)


def test_a_bad_gradient_of_the_last_step_is_noticed(
    tmp_path, monkeypatch
) -> None:
  monkeypatch.setattr(programs, 'create_model', lambda *_: _SteepModel())
  with pytest.raises(NonFiniteLossError, match='gradient is not finite'):
    train_and_evaluate(small.job(epochs=0.01), tmp_path)


@pytest.mark.long
def test_evaluates_the_average_where_there_is_one(tmp_path) -> None:
  job = small.job(ema_decay=0.9, schedule='constant', learning_rate=1.6)
  result = _train(tmp_path, job)
  # The same nine steps at the same rate, 1.6 * 8 / 256.
  state = device_program.train(job.config, small.NETWORK, 9, batch_size=8)
  step = make_evaluation_step(
      create_model(job.config, small.NETWORK, small.CLASSES)
  )
  average, last = (
      evaluate(step, variables, job.dataset, 'validation', 8)
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
  apply = jax.jit(functools.partial(model.apply, train=False))
  logits = apply(variables, images.astype(np.float32) / 127.5 - 1)
  shares = np.asarray(jax.nn.log_softmax(logits))
  expected = {
      'loss': -np.mean(shares[np.arange(small.TEST), labels]),
      'accuracy': np.mean(np.argmax(np.asarray(logits), axis=1) == labels),
      'top5': 1.0,
  }
  for batch_size in (1, 4, 13, 64):
    metrics = evaluate(step, replicated, data, 'test', batch_size * devices)
    assert metrics == pytest.approx(expected, abs=1e-6), batch_size


@pytest.mark.long
def test_trains_and_evaluates_on_the_splits_it_is_given(tmp_path) -> None:
  result = _train(tmp_path, Job(
      small.get_config(), small.NETWORK, small.dataset(), split='all_train',
      evaluation_split='test',
  ))
  assert result.steps == 12
  # Shares of 13 images.
  assert result.metrics['accuracy'] * 13 == pytest.approx(
      round(result.metrics['accuracy'] * 13), abs=1e-6
  )


@pytest.mark.long
def test_bfloat16_trains_float32_parameters(tmp_path, evaluated) -> None:
  config = small.get_config(epochs=5.0, momentum=0.5).unlock()
  config.model.dtype = 'bfloat16'
  result = _train(tmp_path, Job(config, small.NETWORK, small.dataset()))
  assert result.metrics['accuracy'] > 0.8
  assert {leaf.dtype for leaf in jax.tree.leaves(evaluated)} == {
      np.dtype(np.float32)
  }


@pytest.mark.long
def test_trains_on_data_of_ones_own(tmp_path) -> None:
  config = small.get_config(epochs=5.0, momentum=0.5).unlock()
  config.data.source = 'tests.training.own:shades'
  config.data.settings.classes = 3
  data = load_dataset(config.data)
  result = _train(tmp_path, Job(config, small.NETWORK, data))
  assert result.metrics['accuracy'] > 0.6  # A third is chance.


@pytest.mark.parametrize(
    ('epochs', 'examples', 'steps'),
    [(1.0, 72, 9), (1.0, 79, 9), (0.5, 80, 5), (2.4, 80, 24), (0.01, 80, 1)],
)
def test_epochs_are_cut_to_whole_batches(epochs, examples, steps) -> None:
  training = small.get_config(epochs=epochs).training
  assert training_steps(training, examples) == steps


def test_steps_a_second_of_a_small_network(monkeypatch) -> None:
  monkeypatch.setattr(train, '_SECONDS', 0.0)
  job = small.job()
  assert measured_rate(job.config, small.programs(job), job.dataset) > 0


# Early evaluation: of nine steps the fourth, as halves are rounded to even
# numbers.
_FRACTION = 0.5
_STEP = 4


class _Judge:
  """Remembers what it was asked; says yes at a question, None is never."""

  def __init__(self, at=None):
    self.at = at
    self.asked = []

  def __call__(self, accuracy):
    self.asked.append(accuracy)
    return len(self.asked) == self.at


def _train_early(workdir, judge, stop_at=0, **fields):
  steps = []
  result = _train(
      workdir, small.job(log_every_steps=1, **fields),
      hooks=[
          lambda step, metrics: steps.append(step),
          functools.partial(_interrupt, stop_at),
      ],
      early=EarlyEvaluation(_FRACTION, judge) if judge else None,
  )
  return result, steps


@pytest.mark.parametrize(('fraction', 'steps', 'step'), [
    (0.5, 10, 5), (0.25, 9, 2), (0.01, 9, 1), (0.99, 9, 8), (0.5, 2, 1),
    (0.5, 1, 0),
])
def test_the_early_step_is_inside_the_training(fraction, steps, step) -> None:
  assert EarlyEvaluation(fraction, _Judge()).step(steps) == step


@pytest.mark.long
def test_looking_early_changes_nothing(tmp_path) -> None:
  judge = _Judge()
  plain, _ = _train_early(tmp_path / 'a', None)
  looked, steps = _train_early(tmp_path / 'b', judge)
  assert looked.metrics == plain.metrics
  assert looked.steps == plain.steps == 9
  assert steps == list(range(1, 10))
  # After the fourth step and every later one.
  assert judge.asked == [looked.early_reward] * 6
  assert (looked.stopped, plain.stopped) == (False, False)
  assert plain.early_reward is None


@pytest.mark.long
def test_the_early_reward_is_that_of_the_step(tmp_path) -> None:
  """A schedule without an end trains the same to its fourth step."""
  result, _ = _train_early(tmp_path / 'a', _Judge(), schedule='constant')
  short, _ = _train_early(
      tmp_path / 'b', None, epochs=_STEP / 9, schedule='constant'
  )
  assert short.steps == _STEP
  assert result.early_reward == short.metrics['accuracy']


@pytest.mark.parametrize('at', [1, 3])
def test_a_hopeless_one_ends_once_that_is_known(tmp_path, at) -> None:
  judge = _Judge(at)
  result, _ = _train_early(tmp_path, judge)
  assert result.stopped
  assert result.steps == _STEP + at - 1
  assert result.metrics == {}
  assert judge.asked == [result.early_reward] * at


# Checkpoints are saved after steps 2, 4, 6 and 8.
@pytest.mark.parametrize(('stop_at', 'at'), [
    (7, 1),
    pytest.param(3, None, marks=pytest.mark.long),
    pytest.param(5, None, marks=pytest.mark.long),
])
def test_an_interruption_leaves_the_early_evaluation_alone(
    tmp_path, stop_at, at
) -> None:
  expected, _ = _train_early(tmp_path / 'a', _Judge(at))
  with pytest.raises(_InterruptionError):
    _train_early(tmp_path / 'b', _Judge(), stop_at=stop_at)
  judge = _Judge(at)
  resumed, steps = _train_early(tmp_path / 'b', judge)
  assert resumed.early_reward == expected.early_reward
  assert set(judge.asked) == {expected.early_reward}
  assert resumed.metrics == expected.metrics
  assert resumed.stopped == bool(at)
  # It went on from the last checkpoint, and ended at once behind the step.
  assert steps[:1] == ([] if at else [stop_at // 2 * 2 + 1])
