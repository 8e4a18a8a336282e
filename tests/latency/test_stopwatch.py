"""Medians by a clock that the test moves, loops that skip no pass, modules."""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from layernas.latency.stopwatch import Stopwatch
from layernas.latency.stopwatch import Timing
from layernas.latency.stopwatch import loop_passes


def _clock(*durations: float):
  """A clock whose readings are so far apart, each reading twice."""
  readings = itertools.chain.from_iterable(
      (start, start + duration) for start, duration in
      zip(itertools.count(0, 1000), durations, strict=False)
  )
  return lambda: next(readings)


def _series(*milliseconds: float) -> list[float]:
  return [duration / 1e3 for duration in milliseconds]


def _check(timing: Timing, *expected: float) -> None:
  assert dataclasses.astuple(timing) == pytest.approx(expected)


def test_median_and_quartiles_of_the_timed_calls() -> None:
  calls = []
  clock = _clock(*_series(102, 100, 103, 101))
  timing = Stopwatch(2, 4, clock).calls(lambda: calls.append(0), passes=2)
  _check(timing, 50.75, 50.375, 51.125)
  assert len(calls) == 2 + 4


def test_a_disturbed_series_is_timed_again() -> None:
  disturbed, quiet = (100, 150, 250), (100, 101, 102)
  clock = _clock(*_series(*disturbed, *quiet, 1, 1, 1))
  _check(Stopwatch(0, 3, clock).calls(lambda: 0), 101, 100.5, 101.5)


def test_the_quietest_of_five_disturbed_series_counts() -> None:
  others = [(100, 150, 250)] * 3
  clock = _clock(*_series(*others[0], 100, 120, 140, *sum(others, ()), 1, 1, 1))
  _check(Stopwatch(0, 3, clock).calls(lambda: 0), 120, 110, 130)


def test_loops_are_made_long_enough_for_the_clock() -> None:
  # 1, 2, 4 rounds are too short, 8 rounds of ten passes are not.
  clock = _clock(*_series(1, 2, 4, 8, 16, 16, 16))
  timing = Stopwatch(0, 3, clock).passes(lambda _, x: x, {}, jnp.zeros(2))()
  _check(timing, 0.2, 0.2, 0.2)


def test_every_pass_runs_on_what_the_one_before_left() -> None:
  # The output is so large that its negligible multiple is one.
  loop = loop_passes(lambda scale, x: x * 0 + scale)
  inputs, outputs = loop(jnp.float32(1e30), jnp.zeros((2, 2)), 3)
  np.testing.assert_allclose(inputs, [[30, 0], [0, 0]], rtol=1e-5)
  np.testing.assert_array_equal(outputs, np.full((2, 2), np.float32(1e30)))


def test_inputs_of_ordinary_size_stay_as_they_are() -> None:
  x = jnp.linspace(0.5, 2, 6).reshape(2, 3)
  inputs, outputs = loop_passes(lambda w, x: x @ w)(jnp.ones((3, 4)), x, 2)
  np.testing.assert_array_equal(inputs, x)
  np.testing.assert_allclose(outputs, x @ jnp.ones((3, 4)))


def test_what_measuring_itself_takes_is_measured() -> None:
  stopwatch = Stopwatch(1, 3)
  assert stopwatch.empty_loop().milliseconds > 0
  assert stopwatch.empty_call().milliseconds > 0


def test_calls_are_repeated_until_they_are_long_enough() -> None:
  calls = []
  # 1, 2, 4 calls are too short, 8 are not.
  clock = _clock(*_series(1, 2, 4, 8, 16, 16, 16))
  time = Stopwatch(0, 3, clock).repeated(lambda: calls.append(0))
  assert len(calls) == 1 + 1 + 2 + 4 + 8
  _check(time(), 2, 2, 2)
  assert len(calls) == 16 + 3 * 8


def test_nothing_takes_less_than_no_time() -> None:
  _check(Timing(5, 3, 9).without(4), 1, 0, 5)


def test_networks_of_any_inputs_and_outputs_are_timed() -> None:
  def forward(_, inputs):
    return {'sum': inputs['a'].sum()[None], 'rows': inputs['b'] * 2}

  inputs = {'a': jnp.ones(3, jnp.int32), 'b': jnp.ones((2, 2))}
  (kept, _), outputs = loop_passes(forward)({}, inputs, 1), None
  assert outputs is None
  np.testing.assert_array_equal(kept['a'], inputs['a'])
  assert Stopwatch(0, 2).passes(forward, {}, inputs)().milliseconds > 0
