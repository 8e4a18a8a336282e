"""What goes on beside a training."""

import logging

import jax
import numpy as np
import pytest

from layernas.training import hooks as module
from layernas.training.hooks import Profile
from layernas.training.hooks import StepHook
from layernas.training.hooks import StepHooks
from layernas.training.hooks import profile_hooks
from layernas.training.train import train_and_evaluate
from tests.training import small


class Recorder(StepHook):
  """Remembers what it hears."""

  def __init__(self):
    self.heard = []

  def began(self, step):
    self.heard.append(('began', step))

  def logged(self, step, metrics):
    self.heard.append(('logged', step, dict(metrics)))

  def stepped(self, step, state):
    assert state.step[0] == step
    self.heard.append(('stepped', step))

  def ended(self):
    self.heard.append('ended')


def test_every_hook_hears_of_every_step(tmp_path) -> None:
  job, recorder, logged = small.job(log_every_steps=5), Recorder(), {}
  train_and_evaluate(
      job, tmp_path, hooks=[logged.__setitem__, recorder],
      programs=lambda: small.programs(job),
  )
  metrics = {heard[1]: heard[2] for heard in recorder.heard
             if heard[0] == 'logged'}
  assert metrics == logged
  expected = [('began', 0)]
  for step in range(1, 10):
    if step in (5, 9):
      expected.append(('logged', step, logged[step]))
    expected.append(('stepped', step))
  assert recorder.heard == [*expected, 'ended']


def test_all_hear_of_the_end_whatever_fails() -> None:
  class Failing(StepHook):

    def ended(self):
      raise RuntimeError('broken')

  recorder = Recorder()
  with pytest.raises(RuntimeError, match='broken'), StepHooks(
      [Failing(), recorder]
  ):
    raise KeyError
  assert recorder.heard == ['ended']


@pytest.fixture(name='profiler')
def _profiler(monkeypatch):
  """What JAX's profiler is asked for."""
  calls = []
  monkeypatch.setattr(
      jax.profiler, 'start_trace', lambda directory: calls.append('start')
  )
  monkeypatch.setattr(jax.profiler, 'stop_trace', lambda: calls.append('stop'))
  return calls


@pytest.mark.parametrize(('counts', 'expected'), [
    # Steps to trace, steps to skip, steps done in earlier runs.
    ((3, 2, 0), [1, 2, 'start', 3, 4, 5, 'stop', 6]),
    ((1, 0, 0), ['start', 1, 'stop', 2, 3, 4, 5, 6]),
    # It goes on from a checkpoint.
    ((1, 1, 3), [4, 'start', 5, 'stop', 6]),
    ((9, 4, 0), [1, 2, 3, 4, 'start', 5, 6, 'stop']),
    ((2, 6, 0), [1, 2, 3, 4, 5, 6, 'start', 'stop']),
    ((2, 7, 0), [1, 2, 3, 4, 5, 6]),
])
def test_which_steps_are_traced(
    tmp_path, profiler, caplog, counts, expected
) -> None:
  steps, skip, first = counts
  state = _State()
  with StepHooks([Profile(tmp_path, steps, skip)]) as hooks:
    hooks.began(first)
    for step in range(first + 1, 7):
      profiler.append(step)
      hooks.stepped(step, state)
  assert profiler == expected
  traced = max(0, min(steps, 6 - first - skip))
  warnings = [
      record.getMessage() for record in caplog.records
      if record.levelno == logging.WARNING
  ]
  assert warnings == ([] if traced == steps else [
      f'profile.steps: {steps}: {traced} of them traced: the training ended'
      f' before step {first + skip + steps}'
  ])


class _State:
  sums = np.zeros(1)


@pytest.mark.long
def test_tensorboard_finds_a_trace_and_the_result_stays(
    tmp_path, monkeypatch
) -> None:
  monkeypatch.setattr(module, '_profiled', False)
  job = small.job()
  profile = job.config.profile.copy_and_resolve_references().unlock()
  assert profile_hooks(profile, tmp_path / 'never') == []
  profile.update(steps=3, skip=2)
  found = []
  for name in ('first', 'second'):
    hooks = profile_hooks(profile, tmp_path / 'profile' / name)
    assert len(hooks) == (name == 'first')
    found.append(train_and_evaluate(
        job, tmp_path / name, hooks=hooks, programs=lambda: small.programs(job)
    ).metrics)
  assert found[0] == found[1]
  (trace,) = tmp_path.glob('profile/*/plugins/profile/*/*.xplane.pb')
  assert 'profile/first/' in str(trace)
  assert b'_train_step' in trace.read_bytes()
