"""A search as a scheduler of Syne Tune, which runs its trials in processes.

  .venv/bin/pip install -r configs/study/requirements.txt
  .venv/bin/python examples/syne_tune_scheduler.py

prints the network that the search found. Syne Tune numbers its trials as the
search does, so that the networks are the same with any number of workers.
"""

from typing import Any

from layernas.errors import not_installed
from layernas.search import Evaluation
from layernas.search import Layer
from layernas.search import Problem
from layernas.search import Search
from layernas.search import SearchSpace
from layernas.search import Status
from layernas.search import TargetInterval
from layernas.search import additive_cost

try:
  from syne_tune import StoppingCriterion
  from syne_tune import Tuner
  from syne_tune.backend import PythonBackend
  from syne_tune.backend.trial_status import Trial
  from syne_tune.backend.trial_status import TrialResult
  from syne_tune.config_space import choice
  from syne_tune.optimizer.scheduler import TrialScheduler
  from syne_tune.optimizer.scheduler import TrialSuggestion
except ImportError as error:
  # Syne Tune 0.16 does not require huggingface_hub, but imports it.
  raise SystemExit(not_installed(
      'examples/syne_tune_scheduler.py', 'Syne Tune', 'syne-tune',
      'huggingface_hub',
  )) from error

SPACE = SearchSpace((Layer('width', (8, 16, 32)), Layer('kernel', (3, 5, 7))))
COST = additive_cost('madds', SPACE, [[1, 2, 4], [1, 3, 5]])


class LayerNASScheduler(TrialScheduler):
  """Suggests the candidates of a search and tells it the metric 'reward'."""

  def __init__(self, search: Search):
    super().__init__(random_seed=search.seed)
    self.search = search
    self._asked = []

  @property
  def waits(self) -> bool:
    """Whether the next network depends on trials that are running."""
    self._asked = self._asked or self.search.ask()
    return not self._asked and not self.search.stop_reason

  def suggest(self) -> TrialSuggestion | None:
    """The next network; None, which ends the tuning, after the last one."""
    if self.waits or not self._asked:
      return None
    architecture = self._asked.pop().architecture
    return TrialSuggestion.start_suggestion(SPACE.describe(architecture))

  def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
    """Tells the reward."""
    self.search.tell(trial.trial_id, Evaluation(result['reward']))

  def on_trial_error(self, trial: Trial) -> None:
    """Tells that there is none."""
    failure = Evaluation(None, 0.0, Status.FAILED, 'see the log of its trial')
    self.search.tell(trial.trial_id, failure)

  def metadata(self) -> dict[str, Any]:
    """What Syne Tune keeps with its results, in JSON types."""
    return {'metric_names': self.metric_names(), 'metric_mode': 'max'}

  def metric_names(self) -> list[str]:
    """Of what trials report."""
    return ['reward']

  def metric_mode(self) -> str:
    """The reward is maximised."""
    return 'max'


class NothingYetError(Exception):
  """The next network depends on trials that are running."""


class PatientTuner(Tuner):
  """Goes on where its scheduler has nothing to suggest yet."""

  def _schedule_new_tasks(self, running_trials_ids: set[int]) -> None:
    try:
      super()._schedule_new_tasks(running_trials_ids)
    except NothingYetError:
      self._sleep()

  def _schedule_new_task(self) -> TrialResult:
    if self.scheduler.waits:
      raise NothingYetError
    return super()._schedule_new_task()


def train(width: int, kernel: int) -> None:
  """Stands for a training; Syne Tune runs it without this module."""
  from syne_tune import Reporter  # noqa: PLC0415

  Reporter()(reward=1 - 1 / width - 1 / kernel)


def main(workers: int = 2) -> Search:
  """Searches the networks that cost six at most."""
  search = Search(Problem(COST, TargetInterval(high=6)), 'sweep')
  config_space = {layer.name: choice(layer.options) for layer in SPACE.layers}
  # With GPUs, rotate_gpus=True gives each trial one of its own.
  backend = PythonBackend(train, config_space, rotate_gpus=False)
  PatientTuner(
      backend, LayerNASScheduler(search), StoppingCriterion(), workers,
      sleep_time=0.1, save_tuner=False, max_failures=8,
  ).run()
  return search


if __name__ == '__main__':
  print(SPACE.describe(main().best.candidate.architecture))
