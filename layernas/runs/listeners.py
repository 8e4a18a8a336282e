"""What an executor reports, on its way to the hooks of a run."""

from collections.abc import Mapping
from collections.abc import Sequence

from layernas.reports.hooks import Hook
from layernas.reports.hooks import Training
from layernas.reports.hooks import training_of
from layernas.search import Candidate
from layernas.search import Search


class HookListener:
  """Tells hooks of trainings; see `executors.executor.Listener`.

  It stops no candidate.
  """

  def __init__(self, hooks: Sequence[Hook], steps: int):
    """Joins the two.

    Args:
      hooks: of the run, in their order.
      steps: of every candidate's training.
    """
    self._hooks = hooks
    self._steps = steps

  def training(self, candidate: Candidate) -> Training:
    """A candidate as hooks see it."""
    return training_of(candidate, self._steps)

  def began(self, candidate: Candidate, worker: str) -> None:
    """An attempt at a candidate begins."""
    for hook in self._hooks:
      hook.before_training(self.training(candidate), worker)

  def stepped(
      self, candidate: Candidate, step: int, metrics: Mapping[str, float]
  ) -> None:
    """A candidate has come to a step."""
    for hook in self._hooks:
      hook.after_step(self.training(candidate), step, metrics)

  def trouble(self, candidate: Candidate | None, message: str) -> None:
    """An attempt failed, or a worker was lost."""
    training = self.training(candidate) if candidate else None
    for hook in self._hooks:
      hook.after_failure(training, message)

  def evaluated(self, candidate: Candidate) -> None:
    """No attempt at a candidate follows."""
    for hook in self._hooks:
      hook.after_training(self.training(candidate))

  def hopeless(self, candidate: Candidate, early_reward: float) -> bool:
    """Every candidate is trained to its end."""
    del candidate, early_reward
    return False


class SearchListener(HookListener):
  """Tells hooks of the candidates that the search still waits for."""

  def __init__(self, hooks: Sequence[Hook], steps: int, search: Search):
    """Joins the three.

    Args:
      hooks: of the run, in their order.
      steps: of every candidate's training.
      search: knows who waits and what is hopeless.
    """
    super().__init__(hooks, steps)
    self._search = search

  def stepped(
      self, candidate: Candidate, step: int, metrics: Mapping[str, float]
  ) -> None:
    """A candidate has come to a step, unless it was withdrawn meanwhile."""
    if candidate in self._search.waiting:
      super().stepped(candidate, step, metrics)

  def hopeless(self, candidate: Candidate, early_reward: float) -> bool:
    """Asks the search."""
    return self._search.hopeless(candidate.id, early_reward)
