"""The compiled step takes optax's step, with optax's state."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from layernas.training.optimizer import make_optimizer
from layernas.training.optimizer import make_update
from tests.training import small


def _rate(step):
  return 0.1 / (1 + step)


def _params():
  """One leaf of more than one chunk, odd sizes, kinds that do not decay."""
  rng = np.random.default_rng(0)
  draw = functools.partial(rng.standard_normal, dtype=np.float32)
  return {
      'large': {'kernel': draw((129, 257))},
      'depthwise': {'kernel': draw((3, 3, 1, 5))},
      'head_norm': {'scale': draw(7), 'bias': draw(1)},
      'classifier': {'kernel': draw((3, 2)), 'bias': draw(2)},
  }


def _gradients(steps):
  rng = np.random.default_rng(1)
  return [
      jax.tree.map(
          lambda leaf: rng.standard_normal(leaf.shape, np.float32), _params()
      ) for _ in range(steps)
  ]


def _training(optimizer, excludes):
  return small.get_config(
      optimizer=optimizer, momentum=0.7, rms_decay=0.8, rms_epsilon=0.01,
      weight_decay=0.03, weight_decay_excludes=excludes,
  ).training


def _run(training, compiled, gradients):
  """Parameters, state and flag after all steps."""
  update = jax.jit(make_update(training, _rate, compiled))
  params = _params()
  state = make_optimizer(training, _rate).init(params)
  for gradient in gradients:
    params, state, flag = update(gradient, state, params)
  return params, state, flag


@pytest.mark.parametrize('excludes', ['', 'batch_norm,bias', 'classifier'])
@pytest.mark.parametrize('optimizer', ['sgd', 'rmsprop'])
def test_is_the_step_of_optax(optimizer, excludes):
  training = _training(optimizer, excludes)
  got = _run(training, True, _gradients(3))
  wanted = _run(training, False, _gradients(3))
  assert jax.tree.structure(got) == jax.tree.structure(wanted)
  for ours, theirs in zip(
      jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True
  ):
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('optimizer', ['sgd', 'rmsprop'])
def test_flags_what_is_not_finite(optimizer, bad):
  training = _training(optimizer, '')
  (gradient,) = _gradients(1)
  assert _run(training, True, [gradient])[2] == 0.0
  gradient['large']['kernel'][-1, -1] = bad
  assert _run(training, True, [gradient])[2] == 1.0


def test_the_arguments_are_left_alone_unless_donated():
  training = _training('rmsprop', '')
  params = jax.tree.map(jnp.asarray, _params())
  state = make_optimizer(training, _rate).init(params)
  jax.jit(make_update(training, _rate, True))(_gradients(1)[0], state, params)
  jax.tree.map(np.testing.assert_array_equal, params, _params())
