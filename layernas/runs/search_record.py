"""The files that tell what a search did: trials, tables, timings, results."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from etils import epath
from ml_collections import config_dict
from rich.console import Console

from layernas import lookup
from layernas.errors import UserError
from layernas.executors.executor import SETTINGS_FILE
from layernas.executors.executor import ExecutorSettings
from layernas.networks.costs import further_limits
from layernas.reports.console import front_table
from layernas.reports.console import reward_name
from layernas.reports.console import summary_table
from layernas.reports.console import wall_time_line
from layernas.reports.hooks import Hook
from layernas.reports.plots import save_pareto
from layernas.reports.result import layer_tables
from layernas.reports.trace_page import write_trace
from layernas.runs.config_flag import OWN_MODULES_FILE
from layernas.search import Search
from layernas.search import Trial
from layernas.storage.history import FurtherCosts
from layernas.storage.history import History
from layernas.storage.history import Timings
from layernas.storage.history import recorded_further_costs
from layernas.storage.resuming import Input
from layernas.storage.workdir import Workdir
from layernas.storage.workdir import read_json

FACTS_FILE = 'space.json'
"""Of a workdir: `Space.facts`, such as the factors of a counted cost."""

BUDGETS_FILE = 'budgets.json'
"""Of a workdir: what was left decides what a search proposes."""


def known_facts(workdir: epath.PathLike) -> dict[str, Any]:
  """What earlier runs in a workdir have found out about the space.

  Args:
    workdir: which need not exist.

  Returns:
    Content of `FACTS_FILE`; empty where there is none that can be read: it is
    found again.
  """
  file = epath.Path(workdir) / FACTS_FILE
  try:
    facts = read_json(file) if file.exists() else {}
  except (OSError, UserError):
    return {}
  return facts if isinstance(facts, dict) else {}


class SearchRecord(Hook):
  """Keeps the trials of a search and writes its results.

  The first hook of its list: a trial is on disk before anything else hears of
  it, and the workdir is let go when all others are closed.
  """

  def __init__(self, directory: Workdir, console: Console):
    """Touches nothing; `open` comes next.

    Args:
      directory: of the run.
      console: where the results are summed up.
    """
    self._directory = directory
    self._console = console
    self._search: Search | None = None
    self._history: History | None = None
    self._timings: Timings | None = None
    self._further_costs: FurtherCosts | None = None
    self._limited: list[str] = []

  def open(
      self, config: config_dict.ConfigDict, settings: ExecutorSettings,
      inputs: Sequence[Input] | None = None,
  ) -> dict[str, Any]:
    """Takes the workdir.

    Args:
      config: of the run.
      settings: of its executor; kept, so that it is not measured again.
      inputs: what the config only names.

    Returns:
      `trials`, those that are finished already, as `Trial.to_dict` gives them,
      and `budgets`, those that they were asked under: the fields of each, and
      `from`, the id of the first trial that it held for.

    Raises:
      UserError: it belongs to another config or other inputs, is in use or is
        damaged.
    """
    budgets = self._recorded_budgets()
    self._directory.open(config, inputs)
    self._directory.write_json(SETTINGS_FILE, {
        'asked': config.executor.name, **dataclasses.asdict(settings)
    })
    if directories := lookup.own_directories():
      self._directory.write_json(OWN_MODULES_FILE, directories)
    self._history = History(self._directory.path)
    self._timings = Timings(self._directory.path)
    self._limited = list(further_limits(config.limits))
    trials = [trial.to_dict() for trial in self._history.trials]
    budget = config.budget.to_dict()
    if not trials:
      budgets = []
    if not budgets or budgets[-1] != budget | {'from': budgets[-1]['from']}:
      budgets.append({'from': len(trials), **budget})
    self._directory.write_json(BUDGETS_FILE, budgets)
    return {'trials': trials, 'budgets': budgets}

  def _recorded_budgets(self) -> list[dict[str, Any]]:
    """Of the runs so far; older versions recorded that of the last alone."""
    budgets = self._directory.read_json(BUDGETS_FILE)
    if budgets is None:
      config = self._directory.read_json('config.json')
      budget = (config or {}).get('budget')
      budgets = [{'from': 0, **budget}] if budget else []
    return budgets

  def before_search(self, search: Search, steps: int, page: str) -> None:
    """Keeps the search, whose tables are written."""
    del steps, page
    self._search = search
    if self._limited:
      path = self._directory.path
      self._further_costs = FurtherCosts(path)
      recorded = recorded_further_costs(path)
      for trial in search.trials:
        if trial.candidate.id not in recorded:
          self._record_further_costs(trial)

  def after_trial(self, trial: Trial) -> None:
    """Records a trial; on return it is on disk."""
    self._history.append(trial)
    if self._further_costs:
      self._record_further_costs(trial)
    self._directory.write_json('tables.json', layer_tables(self._search))

  def _record_further_costs(self, trial: Trial) -> None:
    """By the names of the config; a network outside the space has none."""
    candidate, limits = trial.candidate, self._search.problem.limits
    if not isinstance(candidate.architecture, str):
      self._further_costs.append(candidate.id, {
          name: limit.cost.cost(candidate.architecture)
          for name, limit in zip(self._limited, limits, strict=True)
      })

  def after_timing(self, trial: Trial, seconds: Mapping[str, float]) -> None:
    """Records where the wall time of a trial went."""
    self._timings.append(trial.candidate.id, seconds)

  def after_search(
      self, result: Mapping[str, Any], trace: Mapping[str, Any] | None
  ) -> None:
    """Writes the results and says where they lie."""
    directory = self._directory
    directory.write_json('tables.json', layer_tables(self._search))
    directory.write_json('result.json', result)
    pictured = any(trial.ok for trial in self._search.trials)
    if pictured:
      save_pareto(
          self._search, directory.path / 'pareto.png',
          reward_name(result['config']),
      )
    if trace is not None:
      write_trace(trace, directory)
    self._console.print(summary_table(result))
    if (front := front_table(result)) is not None:
      self._console.print(front)
    if total := self._timings.total():
      self._console.print(wall_time_line(total))
    self._console.print(
        f'results: {directory.path}/result.json, tables.json, trials.jsonl,'
        ' timings.jsonl'
    )
    if pictured:
      self._console.print(f'picture: {directory.path}/pareto.png')
    if trace is not None:
      self._console.print(f'decisions: {directory.path}/trace.html')

  def close(self) -> None:
    """Lets go of the workdir, also where the disk is gone."""
    # An ExitStack would cut what is raised off the error that came before.
    try:
      if self._history:
        self._history.close()
    finally:
      try:
        if self._timings:
          self._timings.close()
      finally:
        try:
          if self._further_costs:
            self._further_costs.close()
        finally:
          self._directory.close()
