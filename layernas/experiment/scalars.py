"""TensorBoard scalars of a search and of trainings."""

from collections.abc import Mapping
from typing import Any

import tensorboardX
from etils import epath

from layernas.experiment import event_files
from layernas.search import Search
from layernas.search import Trial

event_files.register()


class Scalars:
  """Writes event files below one directory; one run per name."""

  def __init__(self, directory: epath.PathLike):
    """Names the directory; event files are made when first written.

    Args:
      directory: for TensorBoard's --logdir.
    """
    self._directory = epath.Path(directory)
    self._writers: dict[str, Any] = {}

  def write(self, run: str, step: int, values: Mapping[str, float]) -> None:
    """Writes values of one step.

    Args:
      run: name of the curve's run, such as 'search' or 'trials/000003'.
      step: on the horizontal axis.
      values: tag to number.
    """
    if run not in self._writers:
      self._writers[run] = tensorboardX.SummaryWriter(
          event_files.log_directory(self._directory / run)
      )
    for tag, value in values.items():
      self._writers[run].add_scalar(tag, value, step)

  def trial(self, trial: Trial, search: Search) -> None:
    """Writes reward, cost and best so far of a finished trial."""
    values = {
        'cost': trial.candidate.cost,
        'layer': trial.candidate.layer,
        'seconds': trial.evaluation.seconds,
    }
    if trial.ok:
      values['reward'] = trial.evaluation.reward
    if trial.evaluation.early_reward is not None:
      values['early_reward'] = trial.evaluation.early_reward
    if search.best:
      values['best'] = search.best.evaluation.reward
    self.write('search', trial.candidate.id, values)

  def close(self, run: str = '') -> None:
    """Closes the event files of one run, or of all."""
    for name in [run] if run else list(self._writers):
      if name in self._writers:
        self._writers.pop(name).close()
