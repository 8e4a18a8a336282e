"""What a search writes and shows; process 0 alone does.

What an executor reports, on its way to the record of a search.
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any
from typing import Self

from etils import epath
from ml_collections import config_dict

from layernas.executors.executor import SETTINGS_FILE
from layernas.executors.executor import ExecutorSettings
from layernas.reports.console import SearchProgress
from layernas.reports.console import opening_lines
from layernas.reports.console import summary_table
from layernas.reports.console import wall_time_line
from layernas.reports.plots import save_pareto
from layernas.reports.result import layer_tables
from layernas.reports.tensorboard import Scalars
from layernas.reports.trace_page import write_trace
from layernas.runs.status import LiveStatus
from layernas.search import Candidate
from layernas.search import Search
from layernas.search import Trial
from layernas.storage.history import History
from layernas.storage.history import Timings
from layernas.storage.workdir import Workdir


class NoRecord:
  """What the other processes write and show: nothing. A context."""

  def begin(self, search: Search, steps: int) -> None:
    """The search is about to go on."""

  def placed(self, page: str) -> None:
    """Candidates go where such a page shows them; '' where there is none."""

  def began(self, candidate: Candidate, worker: str) -> None:
    """A candidate begins to train; the worker is '' where there is none."""

  def stepped(
      self, candidate: Candidate, step: int, metrics: Mapping[str, float]
  ) -> None:
    """A candidate has come to a step."""

  def trouble(self, candidate: Candidate | None, message: str) -> None:
    """An attempt failed, or a worker was lost; it is tried again."""

  def evaluated(self, candidate: Candidate) -> None:
    """A candidate is evaluated; its trial waits for those before it."""

  def finished(self, trial: Trial) -> None:
    """A trial is finished."""

  def timed(self, candidate: Candidate, seconds: Mapping[str, float]) -> None:
    """The wall time of a candidate is known."""

  def finish(
      self, result: Mapping[str, Any], trace: Mapping[str, Any] | None
  ) -> None:
    """The search is finished."""

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:
    pass


class SearchRecord(NoRecord):
  """Workdir, history, TensorBoard, progress and results of a search."""

  def __init__(self, workdir: epath.PathLike):
    """Names the directory; `open` comes next.

    Args:
      workdir: of the run.
    """
    self._directory = Workdir(workdir)
    self._exits = contextlib.ExitStack()

  def open(
      self, config: config_dict.ConfigDict, settings: ExecutorSettings
  ) -> list[dict[str, Any]]:
    """Takes the workdir.

    Args:
      config: of the run.
      settings: of its executor; kept, so that it is not measured again.

    Returns:
      The trials that are finished already, as `Trial.to_dict` gives them.

    Raises:
      UserError: it belongs to another config, is in use or is damaged.
    """
    self._directory.open(config)
    self._exits.callback(self._directory.close)
    self._directory.write_json(SETTINGS_FILE, {
        'asked': config.executor.name, **dataclasses.asdict(settings)
    })
    self._history = History(self._directory.path)
    self._exits.callback(self._history.close)
    self._timings = Timings(self._directory.path)
    self._exits.callback(self._timings.close)
    self._scalars = Scalars(self._directory.path / 'tensorboard')
    self._exits.callback(self._scalars.close)
    return [trial.to_dict() for trial in self._history.trials]

  def begin(self, search: Search, steps: int) -> None:
    """Shows what is searched and begins the progress bars.

    Args:
      search: with the finished trials replayed.
      steps: of every candidate.
    """
    self._search = search
    self._progress = SearchProgress(search, steps)
    for line in opening_lines(search):
      self._progress.say(line)
    if search.trials:
      self._progress.say(f'{len(search.trials)} trials are finished already')
    self._exits.enter_context(self._progress)
    self._status = LiveStatus(self._directory, search, steps)
    self._exits.callback(self._status.write)

  def placed(self, page: str) -> None:
    """Names the page."""
    self._status.page = page
    if page:
      self._progress.say(f"Ray's dashboard: {page}")

  def began(self, candidate: Candidate, worker: str) -> None:
    """Shows a candidate that begins to train."""
    self._progress.began(candidate, worker)
    self._status.began(candidate, worker)

  def stepped(
      self, candidate: Candidate, step: int, metrics: Mapping[str, float]
  ) -> None:
    """Shows and writes the metrics of a step."""
    self._progress.stepped(candidate, step, metrics)
    self._status.stepped(candidate, step)
    self._scalars.write(f'trials/{candidate.id:06d}', step, metrics)

  def trouble(self, candidate: Candidate | None, message: str) -> None:
    """Prints it."""
    of = f'trial {candidate.id + 1}: ' if candidate else ''
    self._progress.say(f'{of}{message}; tried again')

  def evaluated(self, candidate: Candidate) -> None:
    """Shows it no more."""
    self._progress.evaluated(candidate)
    self._status.evaluated(candidate)

  def finished(self, trial: Trial) -> None:
    """Records a trial; on return it is on disk."""
    self._history.append(trial)
    self._directory.write_json('tables.json', layer_tables(self._search))
    self._scalars.trial(trial, self._search)
    self._scalars.close(f'trials/{trial.candidate.id:06d}')
    self._progress.finished(trial)

  def timed(self, candidate: Candidate, seconds: Mapping[str, float]) -> None:
    """Records where the wall time of a candidate went.

    Args:
      candidate: whose trial is recorded.
      seconds: by phase, as `WallTime` gives them.
    """
    self._timings.append(candidate.id, seconds)

  def finish(
      self, result: Mapping[str, Any], trace: Mapping[str, Any] | None
  ) -> None:
    """Writes the results and says where they lie.

    Args:
      result: content of result.json.
      trace: content of trace.json; None where the schedule has no layer
        tables of trained networks.
    """
    directory = self._directory
    directory.write_json('tables.json', layer_tables(self._search))
    directory.write_json('result.json', result)
    if any(trial.ok for trial in self._search.trials):
      save_pareto(self._search, directory.path / 'pareto.png')
    if trace is not None:
      write_trace(trace, directory)
    self._progress.console.print(summary_table(result))
    if total := self._timings.total():
      self._progress.say(wall_time_line(total))
    self._progress.say(f'results: {directory.path}/result.json, pareto.png,'
                       f' tables.json,{" trace.html," if trace else ""}'
                       ' trials.jsonl, timings.jsonl')

  def __exit__(self, *error: object) -> None:
    self._exits.close()


class SearchListener:
  """Shows what goes on; see `executors.executor.Listener`."""

  def __init__(self, record: NoRecord, search: Search):
    """Joins the two.

    Args:
      record: of the search.
      search: knows what is hopeless.
    """
    self._record = record
    self._search = search

  def began(self, candidate: Candidate, worker: str) -> None:
    """Shows it."""
    self._record.began(candidate, worker)

  def stepped(
      self, candidate: Candidate, step: int, metrics: Mapping[str, float]
  ) -> None:
    """Shows and writes it, unless the candidate was withdrawn."""
    if candidate in self._search.waiting:
      self._record.stepped(candidate, step, metrics)

  def trouble(self, candidate: Candidate | None, message: str) -> None:
    """Shows it."""
    self._record.trouble(candidate, message)

  def hopeless(self, candidate: Candidate, early_reward: float) -> bool:
    """Asks the search."""
    return self._search.hopeless(candidate.id, early_reward)
