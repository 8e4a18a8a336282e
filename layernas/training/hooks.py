"""Hooks, which observe the steps of a training.

A training has a list of hooks and calls each of them, in order. They do not
change its result. A plain function of step and metrics is a hook that sees only
logged steps.
"""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Self

import jax
from absl import logging
from etils import epath

from layernas.training import hosts
from layernas.training.steps import TrainState


class StepHook:
  """A hook of one training; the methods of this base class do nothing."""

  def began(self, step: int) -> None:
    """The loop begins, after `step` steps that earlier runs did."""

  def logged(self, step: int, metrics: Mapping[str, float]) -> None:
    """Metrics of a step have been read, on the host.

    Args:
      step: number of the step.
      metrics: 'train_loss' and 'train_accuracy' since the last logged step,
        'learning_rate' of the step, and 'steps_per_second'.
    """

  def stepped(self, step: int, state: TrainState) -> None:
    """A step is done, or running on the accelerator.

    Args:
      step: number of the step, from one.
      state: replicated state after it; the next step consumes it.
    """

  def ended(self) -> None:
    """The training has ended, perhaps by an error."""


Logged = Callable[[int, Mapping[str, float]], None]
"""Takes a logged step and its metrics."""


class StepHooks(StepHook):
  """Several hooks as one, called in turn; a context that ends them."""

  def __init__(self, hooks: Sequence[StepHook | Logged]):
    """Takes hooks, and functions that observe logged steps."""
    self._hooks = [
        hook if isinstance(hook, StepHook) else _OnLogged(hook)
        for hook in hooks
    ]

  def began(self, step: int) -> None:
    """Tells all."""
    for hook in self._hooks:
      hook.began(step)

  def logged(self, step: int, metrics: Mapping[str, float]) -> None:
    """Tells all."""
    for hook in self._hooks:
      hook.logged(step, metrics)

  def stepped(self, step: int, state: TrainState) -> None:
    """Tells all."""
    for hook in self._hooks:
      hook.stepped(step, state)

  def ended(self) -> None:
    """Calls all hooks, even if one of them fails."""
    with contextlib.ExitStack() as stack:
      for hook in reversed(self._hooks):
        stack.callback(hook.ended)


  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:
    self.ended()


class _OnLogged(StepHook):
  """Calls a function with the metrics of logged steps."""

  def __init__(self, function: Logged):
    self._function = function

  def logged(self, step: int, metrics: Mapping[str, float]) -> None:
    self._function(step, metrics)


class Profile(StepHook):
  """A hook that writes a trace of some steps for TensorBoard's profiler."""

  def __init__(self, directory: epath.PathLike, steps: int, skip: int):
    """Makes the hook; writes nothing yet.

    Args:
      directory: directory for TensorBoard's --logdir, on a disk or on gs://.
      steps: number of steps to trace, at least one.
      skip: number of steps before them, because the first one also sets things
        up.
    """
    self._directory = epath.Path(directory)
    self._steps = steps
    self._skip = skip
    self._begin = 0
    self._traced = 0
    # JAX's profiler writes to disks alone.
    self._local: pathlib.Path | None = None

  def began(self, step: int) -> None:
    """Counts steps from here."""
    self._begin = step + self._skip
    self._start_at(step)

  def stepped(self, step: int, state: TrainState) -> None:
    """Starts or stops the trace after a step."""
    if self._local:
      self._traced += 1
      if self._traced == self._steps:
        jax.block_until_ready(state.sums)
        self._stop()
    self._start_at(step)

  def ended(self) -> None:
    """Ends a running trace; says what is missing."""
    if self._traced < self._steps:
      logging.warning(
          'profile.steps: %d: %d of them traced: the training ended before step'
          ' %d', self._steps, self._traced, self._begin + self._steps,
      )
    if self._local:
      self._stop()

  def _start_at(self, step: int) -> None:
    if step == self._begin:
      self._local = pathlib.Path(tempfile.mkdtemp(prefix='layernas-profile-'))
      jax.profiler.start_trace(self._local)

  def _stop(self) -> None:
    local, self._local = self._local, None
    try:
      jax.profiler.stop_trace()
      for path in filter(pathlib.Path.is_file, local.rglob('*')):
        target = self._directory / path.relative_to(local)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    finally:
      shutil.rmtree(local)


_profiled = False


def profile_hooks(section: Any, directory: epath.PathLike) -> list[StepHook]:
  """The profiler that a config asks for, for the first training of a process.

  Args:
    section: section `profile` of the config: `steps`, 0 for none, and `skip`.
    directory: directory of the trace; processes that train beside each other
      need one each.

  Returns:
    A list with the hook. It is empty if nothing is to be traced, in later
    trainings, and in all but the first of several processes that train
    together.
  """
  global _profiled  # noqa: PLW0603
  if not section.steps or _profiled or not hosts.is_first():
    return []
  _profiled = True
  return [Profile(directory, section.steps, section.skip)]
