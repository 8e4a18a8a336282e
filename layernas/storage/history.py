"""The finished trials of a search on disk, and where their time went.

Trials are kept twice. Each goes to trials.jsonl when it finishes, one line per
trial, for people and other programs too. Orbax checkpoints hold them all; where
one of the two is damaged the other fills in. Checkpoints come after every trial
at first, then whenever the history has grown by two per cent: what a trial
costs does not grow with the number of trials.

timings.jsonl stands beside trials.jsonl, which is the same in every run of a
search but for its seconds. A trial that was interrupted has the times since it
went on. further_costs.jsonl has the costs that limits are on: whoever reads the
trials has neither the images nor the tables that it takes to compute them.
"""

import json
from collections.abc import Mapping

from absl import logging
from etils import epath

from layernas.errors import UserError
from layernas.search import Trial
from layernas.search.trial import trial_from_dict
from layernas.storage.checkpoints import Checkpoints
from layernas.storage.files import file_store

_TRIALS = 'trials.jsonl'

_FURTHER_COSTS = 'further_costs.jsonl'

_GROWTH = 0.02
"""Trials by which the history grows between two checkpoints, as a share."""


class History:
  """Finished trials of a search on disk.

  Attributes:
    trials: in order of their ids.
  """

  def __init__(self, workdir: epath.PathLike):
    """Reads what a workdir holds.

    Args:
      workdir: an existing directory.

    Raises:
      UserError: checkpoints and trials.jsonl are both unreadable.
    """
    self._path = epath.Path(workdir) / _TRIALS
    self._lines = file_store(self._path).lines(self._path)
    directory = epath.Path(workdir) / 'checkpoints'
    had_checkpoints = directory.exists() and any(
        path.name.isdigit() for path in directory.iterdir()
    )
    self._checkpoints = Checkpoints(directory, with_tree=False)
    found = self._checkpoints.restore()
    records = found[0]['trials'] if found else []
    self.trials = list(map(trial_from_dict, records))
    self._saved = len(self.trials)
    stored = self._lines.read()
    self._extend_from_lines(stored or b'')
    if had_checkpoints and not found and not self.trials:
      raise UserError(
          f'workdir {workdir}: neither a checkpoint nor trials.jsonl can be'
          ' read; remove the workdir to begin anew'
      )
    text = ''.join(map(_line, self.trials))
    if stored != text.encode():
      self._lines.replace(text)

  def append(self, trial: Trial) -> None:
    """Records a finished trial; on return it is stored."""
    self.trials.append(trial)
    self._lines.append(_line(trial))
    if len(self.trials) >= (1 + _GROWTH) * self._saved:
      self._save()

  def close(self) -> None:
    """Saves what no checkpoint holds, and waits for it."""
    if len(self.trials) > self._saved:
      self._save()
    self._checkpoints.close()
    self._lines.close()

  def _save(self) -> None:
    records = [trial.to_dict() for trial in self.trials]
    self._checkpoints.save(len(records), {'trials': records})
    self._saved = len(records)

  def _extend_from_lines(self, stored: bytes) -> None:
    """Takes trials that trials.jsonl has beyond the checkpoint."""
    for number, line in enumerate(stored.split(b'\n'), 1):
      if not line or number <= len(self.trials):
        continue
      try:
        trial = trial_from_dict(json.loads(line))
      except ValueError as error:
        logging.warning(
            '%s, line %d cannot be read (%s): trials from %d on are run again',
            self._path, number, error, len(self.trials),
        )
        return
      if trial.candidate.id != len(self.trials):
        return
      self.trials.append(trial)


class _Figures:
  """A line of numbers per trial on disk."""

  def __init__(self, path: epath.Path):
    """Names the file.

    Args:
      path: of it, in an existing directory.
    """
    self._lines = file_store(path).lines(path)
    stored = self._lines.read() or b''
    # A line that a kill cut short is not one.
    whole = stored[:stored.rfind(b'\n') + 1]
    if whole != stored:
      self._lines.replace(whole.decode())

  def append(self, trial_id: int, figures: Mapping[str, float]) -> None:
    """Records a trial.

    Args:
      trial_id: number of the trial.
      figures: of it, by name.
    """
    self._lines.append(json.dumps({'id': trial_id, **figures}) + '\n')

  def close(self) -> None:
    """Leaves one whole file."""
    self._lines.close()


class Timings(_Figures):
  """Where the time of each trial went."""

  def __init__(self, workdir: epath.PathLike):
    """Names the file.

    Args:
      workdir: an existing directory.
    """
    super().__init__(epath.Path(workdir) / 'timings.jsonl')

  def append(self, trial_id: int, figures: Mapping[str, float]) -> None:
    """Records a trial.

    Args:
      trial_id: number of the trial.
      figures: seconds by phase, see `training.wall_time.PHASES`.
    """
    super().append(
        trial_id, {name: round(value, 4) for name, value in figures.items()}
    )

  def total(self) -> dict[str, float]:
    """Seconds of all recorded trials by phase; empty where there is none."""
    total: dict[str, float] = {}
    for line in (self._lines.read() or b'').splitlines():
      for name, value in json.loads(line).items():
        if name != 'id':
          total[name] = total.get(name, 0.0) + value
    return total


class FurtherCosts(_Figures):
  """Costs of each trial's network that further limits are on."""

  def __init__(self, workdir: epath.PathLike):
    """Names the file.

    Args:
      workdir: an existing directory.
    """
    super().__init__(epath.Path(workdir) / _FURTHER_COSTS)


def recorded_further_costs(
    workdir: epath.PathLike
) -> dict[int, dict[str, float]]:
  """Reads the further costs of a search that may be running.

  Args:
    workdir: of the search; nothing in it is touched.

  Returns:
    Costs by metric, by the id of the trial. A search without further limits,
    and one that an older version ran, has recorded none.
  """
  path = epath.Path(workdir) / _FURTHER_COSTS
  found = {}
  for line in (file_store(path).lines(path).read() or b'').splitlines():
    try:
      figures = json.loads(line)
      number = figures.pop('id')
      found[number] = {name: cost + 0 for name, cost in figures.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
      break  # A line that is being written.
  return found


def recorded_trials(workdir: epath.PathLike) -> list[Trial]:
  """Reads the trials of a search that may be running; touches nothing.

  Args:
    workdir: of the search.

  Returns:
    The trials in trials.jsonl, up to the first line that cannot be read.

  Raises:
    UserError: there is no such file.
  """
  path = epath.Path(workdir) / _TRIALS
  file_store(path).check(path)
  stored = file_store(path).lines(path).read()
  if stored is None:
    raise UserError(
        f'workdir {workdir}: has no {_TRIALS}; allowed is the workdir of a'
        ' search'
    )
  trials = []
  for line in stored.splitlines():
    try:
      trials.append(trial_from_dict(json.loads(line)))
    except ValueError:  # A line that is being written.
      break
  return trials


def _line(trial: Trial) -> str:
  return json.dumps(trial.to_dict()) + '\n'
