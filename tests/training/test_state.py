"""Tests of layernas.training.state."""

import jax
import numpy as np
import optax
import pytest

from layernas.training.state import initial_state
from layernas.training.state import moving_average

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
