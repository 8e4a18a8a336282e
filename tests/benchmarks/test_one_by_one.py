"""What the loops share: steps are timed and scaled up."""

import pytest

from tools.perf import one_by_one


def test_what_the_first_step_takes_longer_comes_once() -> None:
  assert one_by_one.scaled_up([5.0, 1.0, 3.0], 11) == 5.0 + 10 * 2.0


def test_all_steps_are_their_sum() -> None:
  assert one_by_one.scaled_up([5.0, 1.0, 3.0], 3) == 9.0
  assert one_by_one.scaled_up([5.0], 1) == 5.0


def test_making_a_batch_counts(monkeypatch) -> None:
  now = [0.0]
  monkeypatch.setattr(one_by_one.time, 'perf_counter', lambda: now[0])

  def batches():
    for seconds in (1.0, 2.0, 4.0):
      now[0] += seconds
      yield seconds

  def step(batch) -> None:
    now[0] += 10 * batch

  times = one_by_one.times_of_steps(step, batches(), 2)
  assert times == pytest.approx([11.0, 22.0])
