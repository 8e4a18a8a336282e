"""What goes on beside a training, after its steps.

A training has a list of hooks and tells each of them, in order. What they do
changes nothing in its result. A plain function of step and metrics is a hook
that hears of logged steps alone.
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
  """Hears of the steps of one training; every method does nothing here."""

  def began(self, step: int) -> None:
    """The loop begins; `step` steps were done before, in earlier runs."""

  def logged(self, step: int, metrics: Mapping[str, float]) -> None:
    """Metrics of a step have been read, on the host.

    Args:
      step: that is done.
      metrics: 'train_loss', 'train_accuracy' since the last logged step;
        'learning_rate' of the step; 'steps_per_second'.
    """

  def stepped(self, step: int, state: TrainState) -> None:
    """A step is done, or under way on the accelerator.

    Args:
      step: its number, from one.
      state: after it, replicated; the next step consumes it.
    """

  def ended(self) -> None:
    """No further step comes, perhaps because of an error."""


Logged = Callable[[int, Mapping[str, float]], None]
"""Takes a logged step and its metrics."""


class StepHooks(StepHook):
  """Several hooks as one, each told in its turn; a context that ends them."""

  def __init__(self, hooks: Sequence[StepHook | Logged]):
    """Takes hooks, and functions that hear of logged steps."""
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
    """Tells all, also where one of them fails."""
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
  """Writes a trace of some steps, which TensorBoard's profiler opens."""

  def __init__(self, directory: epath.PathLike, steps: int, skip: int):
    """Writes nothing yet.

    Args:
      directory: for TensorBoard's --logdir, on a disk or on gs://.
      steps: that are traced, at least one.
      skip: steps before them, since a first one also sets things up.
    """
    self._directory = epath.Path(directory)
    self._steps = steps
    self._skip = skip
    self._begin = 0
    self._traced = 0
    # JAX's profiler writes to disks alone.
    self._local: pathlib.Path | None = None

  def began(self, step: int) -> None:
    """Counts from here."""
    self._begin = step + self._skip
    self._start_at(step)

  def stepped(self, step: int, state: TrainState) -> None:
    """Starts or stops the trace behind a step."""
    if self._local:
      self._traced += 1
      if self._traced == self._steps:
        jax.block_until_ready(state.sums)
        self._stop()
    self._start_at(step)

  def ended(self) -> None:
    """Ends a trace that is under way; says what is missing."""
    if self._traced < self._steps:
      logging.warning(
          'profile.steps: %d: the training ended after %d of them',
          self._steps, self._traced,
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
    section: `profile` of the config: `steps`, 0 for none, and `skip`.
    directory: where the trace goes; of processes that train beside each other,
      each needs its own.

  Returns:
    A hook; none where nothing is to be traced, and in later trainings. Of
    processes that train together, the first one has it.
  """
  global _profiled  # noqa: PLW0603
  if not section.steps or _profiled or not hosts.is_first():
    return []
  _profiled = True
  return [Profile(directory, section.steps, section.skip)]
