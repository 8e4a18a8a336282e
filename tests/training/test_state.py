"""Tests of layernas.training.steps."""

import jax
import numpy as np
import optax
import pytest

from layernas.models.initialization import initial_variables
from layernas.training.optimizer import OPTIMIZERS
from layernas.training.optimizer import make_optimizer
from layernas.training.programs import create_model
from layernas.training.steps import initial_state
from layernas.training.steps import moving_average
from tests.training import small

_VARIABLES = {
    'params': {'kernel': np.full((2, 2), 3.0, np.float32)},
    'batch_stats': {'mean': np.full(2, 5.0, np.float32)},
}


def _initial(ema):
  return initial_state(_VARIABLES, optax.sgd(0.1, momentum=0.9), ema)


def test_begins_at_step_zero_with_empty_sums() -> None:
  state = _initial(ema=False)
  assert state.step == 0
  assert state.step.dtype == np.int32
  assert state.sums == {
      'loss': 0, 'accuracy': 0, 'top5': 0, 'count': 0, 'non_finite': 0
  }


def test_evaluates_the_variables_without_an_average() -> None:
  state = _initial(ema=False)
  assert state.ema == {}
  assert state.evaluated is state.variables


def test_evaluates_the_average_where_there_is_one() -> None:
  state = _initial(ema=True)
  assert state.evaluated is state.ema
  jax.tree.map(np.testing.assert_array_equal, state.ema, _VARIABLES)


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_the_optimizer_begins_as_it_would_by_itself(name: str) -> None:
  config = small.get_config(optimizer=name)
  optimizer = make_optimizer(config.training, lambda step: 0.1)
  model = create_model(config, small.NETWORK, small.CLASSES)
  variables = initial_variables(model, small.SIDE, 0)
  state = initial_state(variables, optimizer, ema=False).optimizer
  expected = optimizer.init(variables['params'])
  assert jax.tree.structure(state) == jax.tree.structure(expected)
  for one, other in zip(
      jax.tree.leaves(state), jax.tree.leaves(expected), strict=True
  ):
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)


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


def test_no_average_stays_none() -> None:
  assert moving_average({}, _VARIABLES, 0.9, 3) == {}
