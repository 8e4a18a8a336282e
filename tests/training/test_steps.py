"""The state of a training, and its steps on one and on eight devices."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import jax_utils

from layernas.training import losses
from layernas.training.devices import replicate
from layernas.training.devices import shard
from layernas.training.optimizer import make_optimizer
from layernas.training.programs import create_model
from layernas.training.steps import initial_state
from layernas.training.steps import make_evaluation_step
from layernas.training.steps import make_train_step
from layernas.training.steps import moving_average
from tests.training import device_program
from tests.training import small

_VARIABLES = {
    'params': {'kernel': np.full((2, 2), 3.0, np.float32)},
    'batch_stats': {'mean': np.full(2, 5.0, np.float32)},
}


def _initial(ema):
  return initial_state(_VARIABLES, (), ema)


def test_begins_at_step_zero_with_empty_sums() -> None:
  state = _initial(ema=False)
  assert state.step == 0
  assert state.step.dtype == np.int32
  assert state.sums == {
      'loss': 0, 'accuracy': 0, 'top5': 0, 'count': 0, 'non_finite': 0
  }


def test_evaluates_the_average_where_there_is_one() -> None:
  state = _initial(ema=True)
  assert state.evaluated is state.ema
  jax.tree.map(np.testing.assert_array_equal, state.ema, _VARIABLES)


def test_the_average_shares_no_memory_with_the_variables() -> None:
  # The train step consumes both.
  state = _initial(ema=True)
  jax.tree.map(
      lambda left, right: pytest.fail('shared')
      if np.shares_memory(left, right) else None,
      state.ema, state.variables,
  )


@pytest.mark.parametrize(
    ('step', 'decay'),
    # (1 + step) / (10 + step) until it passes 0.9: 9/10 = 81/90 at step 80.
    [(0, 0.1), (8, 0.5), (80, 0.9), (1000, 0.9)],
)
def test_averages_params_and_statistics(step: int, decay: float) -> None:
  new = jax.tree.map(lambda leaf: leaf + 10.0, _VARIABLES)
  average = moving_average(_VARIABLES, new, 0.9, step)
  expected = jax.tree.map(lambda leaf: leaf + 10.0 * (1 - decay), _VARIABLES)
  assert jax.tree.structure(average) == jax.tree.structure(_VARIABLES)
  jax.tree.map(
      lambda left, right: np.testing.assert_allclose(left, right, rtol=1e-6),
      average, expected,
  )


def test_the_average_of_bfloat16_moves() -> None:
  average = initial_state({'a': np.zeros(2, jnp.bfloat16)}, (), ema=True).ema
  for step in range(100_000, 100_100):
    average = moving_average(
        average, {'a': jnp.ones(2, jnp.bfloat16)}, 0.999, step
    )
  np.testing.assert_allclose(average['a'], 1 - 0.999 ** 100, rtol=1e-3)


@pytest.fixture(scope='module', name='on_devices')
def _on_devices(tmp_path_factory):
  """What the program writes on 1 and on 8 devices."""
  directory = tmp_path_factory.mktemp('devices')
  written = {}
  for devices in (1, 8):
    file = directory / f'{devices}.npz'
    subprocess.run(
        [sys.executable, '-m', 'tests.training.device_program', file],
        env=os.environ | {'JAX_NUM_CPU_DEVICES': str(devices)}, check=True,
        cwd=os.environ['PYTHONPATH'].split(os.pathsep)[0],
    )
    with np.load(file) as arrays:
      written[devices] = dict(arrays)
    assert written[devices]['devices'] == devices
  return written


def _rate(step):
  del step
  return 0.05


def _setup(network=small.NETWORK, **fields):
  """Model, update (SGD at rate 0.05), config and a fresh state."""
  config = small.get_config(**fields)
  model = create_model(config, network, small.CLASSES)
  optimizer = make_optimizer(config.training, _rate)
  state = device_program.first_state(config, model, optimizer)
  return model, optimizer.update(compiled=True), config.training, state


def _batches(number, size=8):
  batches = small.dataset().train_batches('train', size, seed=0)
  return [next(batches) for _ in range(number)]


def _run(setup, batches):
  """States after each step, on the host."""
  model, update, training, state = setup
  step = make_train_step(model, update, training)
  state = replicate(state)
  seed = replicate(np.int32(0))
  states = []
  for batch in batches:
    state = step(state, shard(batch), seed)
    states.append(jax.tree.map(np.array, jax_utils.unreplicate(state)))
  return states


def _assert_close(left, right, tolerance):
  jax.tree.map(
      lambda one, other: np.testing.assert_allclose(
          one, other, rtol=tolerance, atol=tolerance
      ),
      left, right,
  )


def test_a_step_follows_the_gradient_of_the_mean_loss() -> None:
  setup = _setup(momentum=0.0, weight_decay=0.01, label_smoothing=0.1)
  model, _, _, before = setup
  (batch,) = _batches(1)
  (after,) = _run(setup, [batch])
  alone = model.clone(axis_name=None)

  def loss(params):
    logits, updated = alone.apply(
        {**before.variables, 'params': params}, batch['image'], train=True,
        mutable=['batch_stats'],
    )
    entropy = losses.cross_entropy(logits, batch['label'], 0.1)
    decay = 0.005 * sum(
        jnp.sum(leaf ** 2) for leaf in jax.tree.leaves(params) if leaf.ndim > 1
    )
    return jnp.mean(entropy) + decay, updated['batch_stats']

  gradient, statistics = jax.jit(jax.grad(loss, has_aux=True))(
      before.variables['params']
  )
  params = jax.tree.map(
      lambda leaf, slope: leaf - 0.05 * slope, before.variables['params'],
      gradient,
  )
  expected = {'params': params, 'batch_stats': statistics}
  assert after.step == 1
  _assert_close(after.variables, expected, 1e-5)


def test_the_step_is_compiled_once() -> None:
  traced = []

  def rate(step):
    traced.append(step)
    return 0.05

  model, _, training, state = _setup(ema_decay=0.9)
  update = make_optimizer(training, rate).update(compiled=True)
  _run((model, update, training, state), _batches(3))
  assert len(traced) == 1


def test_loss_is_mean_over_images_and_falls() -> None:
  states = _run(_setup(log_every_steps=1), _batches(1, 32) * 12)
  means = [losses.means(state.sums) for state in states]
  assert all(state.sums['count'] == 32 for state in states)
  assert means[-1]['loss'] < 0.5 * means[0]['loss']
  assert means[-1]['accuracy'] > 0.9


def test_sums_restart_after_every_logged_step() -> None:
  states = _run(_setup(log_every_steps=3), _batches(8))
  assert [int(state.step) for state in states] == list(range(1, 9))
  counts = [int(state.sums['count']) for state in states]
  assert counts == [8, 16, 24, 8, 16, 24, 8, 16]
  single = _run(_setup(log_every_steps=1), _batches(8))
  for name in ('loss', 'accuracy', 'top5'):
    steps = [float(state.sums[name]) for state in single]
    np.testing.assert_allclose(
        [float(state.sums[name]) for state in states],
        [sum(steps[step - step % 3:step + 1]) for step in range(8)], rtol=1e-5,
    )


def test_the_average_covers_params_and_statistics() -> None:
  setup = _setup(ema_decay=0.99)
  ema = setup[3].ema
  for number, state in enumerate(_run(setup, _batches(3))):
    decay = (1 + number) / (10 + number)
    ema = jax.tree.map(
        lambda old, new, decay=decay: decay * old + (1 - decay) * new, ema,
        state.variables,
    )
    assert set(state.ema) == {'params', 'batch_stats'}
    _assert_close(state.ema, ema, 1e-5)


def test_every_step_and_seed_drops_other_features() -> None:
  config = small.get_config(weight_decay=0.0).unlock()
  config.model.dropout = 0.5
  model = create_model(config, small.NETWORK, small.CLASSES)
  optimizer = make_optimizer(config.training, lambda step: 0.0)
  first = device_program.first_state(config, model, optimizer)
  step = make_train_step(model, optimizer.update(), config.training)
  (batch,) = _batches(1)

  def loss(seed, number):
    state = first.replace(step=np.full((), 4 * number, np.int32))
    state = step(replicate(state), shard(batch), replicate(np.int32(seed)))
    return float(jax_utils.unreplicate(state).sums['loss'])

  assert loss(0, 0) == loss(0, 0)
  assert len({loss(0, 0), loss(0, 1), loss(1, 0), loss(1, 1)}) == 4


def test_evaluation_normalises_by_the_averages_and_skips_padding() -> None:
  model, _, _, state = _setup()
  (batch,) = _batches(1)
  batch = batch | {'mask': np.float32([1, 1, 1, 0, 1, 0, 0, 1])}
  sums = jax_utils.unreplicate(
      make_evaluation_step(model)(
          replicate(state.variables), shard(batch)
      )
  )
  rows = batch['mask'] == 1
  apply = jax.jit(functools.partial(model.apply, train=False))
  logits = apply(state.variables, batch['image'][rows])
  labels = batch['label'][rows]
  expected = losses.metric_sums(
      losses.cross_entropy(logits, labels), losses.hits(logits, labels),
      jnp.ones(5),
  )
  assert sums['count'] == 5
  _assert_close(sums, expected, 1e-5)


@pytest.mark.long
def test_eight_devices_train_as_one_does(on_devices) -> None:
  one, eight = on_devices[1], on_devices[8]
  names = [name for name in one if name.startswith('sync/')]
  for kind in ('params', 'batch_stats', 'ema', 'loss'):
    assert any(kind in name for name in names)
  for name in names:
    assert eight[name].shape[0] == 8
    for copy in eight[name]:
      np.testing.assert_allclose(
          copy, one[name][0], rtol=1e-5, atol=1e-5, err_msg=name
      )


@pytest.mark.long
def test_eight_devices_evaluate_as_one_does(on_devices) -> None:
  one, eight = on_devices[1], on_devices[8]
  names = [name for name in one if name.startswith('metrics')]
  assert len(names) == 3
  for name in names:
    np.testing.assert_allclose(eight[name], one[name], rtol=1e-5, atol=1e-5)


@pytest.mark.long
def test_without_sync_the_statistics_are_the_devices_mean(on_devices) -> None:
  parts = device_program.statistics_of_parts(small.get_config())
  mean = device_program.flat(
      'own', jax.tree.map(lambda *leaves: np.mean(leaves, axis=0), *parts)
  )
  assert mean
  for name, value in mean.items():
    for copy in on_devices[8][name]:
      np.testing.assert_allclose(
          copy, value, rtol=1e-5, atol=1e-5, err_msg=name
      )
  # Not what all the images give together.
  assert any(
      not np.allclose(on_devices[1][name][0], value, rtol=1e-3, atol=1e-3)
      for name, value in mean.items()
  )
