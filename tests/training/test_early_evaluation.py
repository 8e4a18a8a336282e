"""Tests of layernas.training.train, and of trainings with one."""

import pytest

from layernas.errors import UserError
from layernas.training.train import EarlyEvaluation
from layernas.training.train import train_and_evaluate
from layernas.training.wall_time import WallTime
from tests.training import small

# Of nine steps the fourth: halves are rounded to even numbers.
_FRACTION = 0.5
_STEP = 4


class _InterruptionError(Exception):
  pass


class _Judge:
  """Remembers what it was asked; gives one answer."""

  def __init__(self, answer=False):
    self.answer = answer
    self.asked = []

  def __call__(self, accuracy):
    self.asked.append(accuracy)
    return self.answer


def _train(workdir, judge=None, fraction=_FRACTION, stop_at=0, **fields):
  steps = []

  def report(step, metrics):
    del metrics
    steps.append(step)
    if step == stop_at:
      raise _InterruptionError

  result = train_and_evaluate(
      small.get_config(log_every_steps=1, **fields), small.NETWORK, workdir,
      dataset=small.dataset(), report=report,
      early=EarlyEvaluation(fraction, judge) if judge else None,
  )
  return result, steps


@pytest.mark.parametrize(('fraction', 'steps', 'step'), [
    (0.5, 10, 5), (0.25, 9, 2), (0.01, 9, 1), (0.99, 9, 8), (0.5, 2, 1),
    (0.5, 1, 0),
])
def test_the_early_step_is_inside_the_training(fraction, steps, step) -> None:
  assert EarlyEvaluation(fraction, _Judge()).step(steps) == step


def test_looking_early_changes_nothing(tmp_path) -> None:
  judge = _Judge()
  plain, _ = _train(tmp_path / 'a')
  looked, steps = _train(tmp_path / 'b', judge)
  assert looked.metrics == plain.metrics
  assert looked.steps == plain.steps == 9
  assert steps == list(range(1, 10))
  # After the fourth step and every later one.
  assert judge.asked == [looked.early_accuracy] * 6
  assert (looked.stopped, plain.stopped) == (False, False)
  assert plain.early_accuracy is None


def test_the_early_accuracy_is_that_of_the_step(tmp_path) -> None:
  """A schedule without an end trains the same to its fourth step."""
  result, _ = _train(tmp_path / 'a', _Judge(), schedule='constant')
  short, _ = _train(
      tmp_path / 'b', epochs=_STEP / 9, schedule='constant'
  )
  assert short.steps == _STEP
  assert result.early_accuracy == short.metrics['accuracy']


def test_a_hopeless_one_ends_at_the_step(tmp_path) -> None:
  wall_time = WallTime()
  judge = _Judge(True)
  result = train_and_evaluate(
      small.get_config(), small.NETWORK, tmp_path, dataset=small.dataset(),
      early=EarlyEvaluation(_FRACTION, judge), wall_time=wall_time,
  )
  assert result.stopped
  assert result.steps == _STEP
  assert result.metrics == {}
  assert judge.asked == [result.early_accuracy]
  assert wall_time.seconds()['evaluate'] > 0


def test_what_is_known_later_ends_it_later(tmp_path) -> None:
  class Late(_Judge):

    def __call__(self, accuracy):
      return super().__call__(accuracy) or len(self.asked) == 3

  result, _ = _train(tmp_path, Late())
  assert (result.stopped, result.steps) == (True, _STEP + 2)


# Checkpoints are saved after steps 2, 4, 6 and 8.
@pytest.mark.parametrize(('stop_at', 'answer'), [
    (3, False), (5, False), (7, True),
])
def test_an_interruption_changes_nothing(tmp_path, stop_at, answer) -> None:
  expected, _ = _train(tmp_path / 'a', _Judge(answer))
  with pytest.raises(_InterruptionError):
    _train(tmp_path / 'b', _Judge(), stop_at=stop_at)
  judge = _Judge(answer)
  resumed, steps = _train(tmp_path / 'b', judge)
  assert resumed.early_accuracy == expected.early_accuracy
  assert set(judge.asked) == {expected.early_accuracy}
  assert resumed.metrics == expected.metrics
  assert resumed.stopped == answer
  # It went on from the last checkpoint, and ended at once behind the step.
  assert steps[:1] == ([] if answer and stop_at > _STEP else [
      stop_at // 2 * 2 + 1
  ])


@pytest.mark.parametrize('other', [0.25, None])
def test_refuses_checkpoints_with_another_early_step(tmp_path, other) -> None:
  _train(tmp_path, _Judge())
  with pytest.raises(UserError, match='of another network, config or seed'):
    _train(tmp_path, other and _Judge(), fraction=other)
