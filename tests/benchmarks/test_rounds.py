"""Steps are measured in turns, ratios taken within a round."""

import pytest

from tools.perf import rounds


@pytest.fixture(name='step')
def _step(monkeypatch):
  """Makes steps that let seconds pass on a clock of the test."""
  now = [0.0]
  monkeypatch.setattr(rounds.time, 'perf_counter', lambda: now[0])
  monkeypatch.setattr(rounds.time, 'sleep', lambda seconds: None)

  def make(seconds):
    def step() -> None:
      step.calls += 1
      now[0] += seconds

    step.calls = 0
    return step

  return make


def test_ratios_and_milliseconds(step) -> None:
  steps = {'ours': step(0.01), 'other': step(0.03)}
  found = rounds.measure_in_turns(steps, rounds=3, repeats=2)
  assert found == {
      'milliseconds': {'ours': [10.0] * 3, 'other': [30.0] * 3},
      'ratios': {'other/ours': [3.0] * 3},
  }
  assert steps['other'].calls == 1 + 3 * (1 + 2)


def test_what_is_slow_is_measured_once(step) -> None:
  steps = {'ours': step(0.01), 'slow': step(5.0)}
  found = rounds.measure_in_turns(steps, rounds=3, repeats=2)
  assert steps['slow'].calls == 2
  assert found['milliseconds']['slow'] == [5000.0] * 3


def test_quartiles() -> None:
  assert rounds.quartiles([1, 2, 3, 4, 9]) == [2, 3, 4]
  assert rounds.quartiles([7]) == [7, 7, 7]
