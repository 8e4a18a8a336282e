"""Tests of layernas.training.wall_time."""

import pytest

from layernas.training import wall_time
from layernas.training.wall_time import PHASES
from layernas.training.wall_time import WallTime


@pytest.fixture(name='passes')
def _passes(monkeypatch):
  """Lets seconds pass."""
  now = [100.0]
  monkeypatch.setattr(wall_time.time, 'monotonic', lambda: now[0])

  def passing(seconds: float) -> None:
    now[0] += seconds

  return passing


def test_an_inner_phase_takes_from_the_outer_one(passes) -> None:
  clock = WallTime()
  passes(1)
  with clock.spent_on('train'):
    passes(10)
    with clock.spent_on('save'):
      passes(3)
    passes(20)
  passes(2)
  with clock.spent_on('save'):
    passes(4)
  assert clock.seconds() == {
      'compile': 0, 'train': 30, 'evaluate': 0, 'save': 7, 'other': 3
  }


def test_a_phase_that_fails_ends(passes) -> None:
  clock = WallTime()

  def fail() -> None:
    with clock.spent_on('compile'):
      passes(5)
      raise ArithmeticError

  with pytest.raises(ArithmeticError):
    fail()
  passes(1)
  assert clock.seconds()['compile'] == 5
  assert clock.seconds()['other'] == 1


def test_the_phases_add_up_also_under_way(passes) -> None:
  clock = WallTime()
  with clock.spent_on('evaluate'):
    passes(5)
    assert clock.seconds()['evaluate'] == 5
    passes(2)
  seconds = clock.seconds()
  assert tuple(seconds) == PHASES
  assert sum(seconds.values()) == 7
