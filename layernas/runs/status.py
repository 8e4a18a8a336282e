"""How far a search is: status.json, and what shows it to people.

The search itself writes the file while it runs. The program `status` reads it
from another terminal, at the same time or afterwards, and so can others.
"""

import datetime
import time
from collections.abc import Mapping
from typing import Any

from etils import epath
from rich import box
from rich.console import Console
from rich.console import Group
from rich.console import RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from layernas.errors import UserError
from layernas.reports.console import new_console
from layernas.reports.hooks import Hook
from layernas.reports.hooks import Training
from layernas.search import Search
from layernas.search.space import architecture_id
from layernas.search.trial import trial_name
from layernas.storage.files import file_store
from layernas.storage.workdir import Workdir
from layernas.storage.workdir import content_of
from layernas.storage.workdir import read_json

STATUS_FILE = 'status.json'

_LOCAL_SECONDS, _BUCKET_SECONDS = 1.0, 30.0
"""Between two writes, on a disk and on gs://, where an object is written at
most once a second and costs."""

_QUIET_SECONDS = 300.0
"""Without a sign, after which a search on gs:// is taken to have stopped."""

_CENTURY = 100 * 365.25 * 24 * 3600.0
"""Seconds."""


class LiveStatus(Hook):
  """Writes status.json whenever something has changed, but not too often."""

  def __init__(self, directory: Workdir):
    """Writes nothing yet.

    Args:
      directory: of the run.
    """
    self._directory = directory
    local = '://' not in str(directory.path)
    self._least = _LOCAL_SECONDS if local else _BUCKET_SECONDS
    self._search: Search | None = None
    self._running: dict[str, dict[str, Any]] = {}

  def before_search(self, search: Search, steps: int, page: str) -> None:
    """Writes for the first time."""
    self._search = search
    self._steps = steps
    self._page = page
    self._begun = time.time()
    self._earlier = len(search.trials)
    self._write()

  def before_training(self, training: Training, worker: str) -> None:
    """Names a candidate that begins to train, perhaps once more."""
    candidate = training.candidate
    self._running[training.name] = {
        'trial': candidate.id,
        'architecture': architecture_id(candidate.architecture),
        'worker': worker, 'step': 0, 'since': time.time(),
    }
    self._write_sometimes()

  def after_step(
      self, training: Training, step: int, metrics: Mapping[str, float]
  ) -> None:
    """Notes how far a candidate is."""
    del metrics
    self._running[training.name]['step'] = step
    self._write_sometimes()

  def after_training(self, training: Training) -> None:
    """Names a candidate no more."""
    self._running.pop(training.name, None)
    self._write_sometimes()

  def close(self) -> None:
    """Writes how the run ended, if it began."""
    if self._search is not None:
      self._write()

  def _write(self) -> None:
    search, best = self._search, self._search.best
    self._directory.write_json(STATUS_FILE, {
        'trials': len(search.trials),
        'earlier_trials': self._earlier,
        'bound': search.bound,
        'best': best and best.to_dict(),
        # Those of a finished search were withdrawn.
        'running': [] if search.finished else list(self._running.values()),
        'steps': self._steps,
        'page': self._page,
        'stop_reason': search.stop_reason,
        'begun': self._begun,
        'written': time.time(),
    })
    self._written = time.monotonic()

  def _write_sometimes(self) -> None:
    if time.monotonic() - self._written >= self._least:
      self._write()


def show_status(
    workdir: epath.PathLike, watch: float = 0.0, console: Console | None = None
) -> None:
  """Prints the status of a search.

  Args:
    workdir: of the search.
    watch: seconds after which it is looked at again until the search ends; 0
      looks once.
    console: to print on.

  Raises:
    UserError: there is no search in the workdir.
  """
  console = console or new_console()
  state, status = read_status(workdir)
  if not watch or state != 'running':
    console.print(status_page(state, status))
    return
  with Live(console=console, auto_refresh=False) as live:
    while True:
      live.update(status_page(state, status), refresh=True)
      if state != 'running':
        return
      time.sleep(watch)
      state, status = read_status(workdir)


def read_status(workdir: epath.PathLike) -> tuple[str, Mapping[str, Any]]:
  """Reads it.

  Args:
    workdir: of a search.

  Returns:
    'running', 'finished' or 'stopped'; and the content of status.json.

  Raises:
    UserError: there is no search in the workdir, or its status is damaged.
  """
  path = epath.Path(workdir) / STATUS_FILE
  if not path.exists():
    raise UserError(
        f'workdir {workdir}: has no {STATUS_FILE}; allowed is the'
        ' workdir of a search'
    )
  status = read_json(path)
  in_use = file_store(path).in_use(epath.Path(workdir))
  with content_of(path):
    if in_use is None:
      in_use = time.time() - status['written'] < _QUIET_SECONDS
    state = 'running' if in_use else 'stopped'
    if status['stop_reason'] and not status['running']:
      state = 'finished'
    # All that is shown is there.
    status_page(state, status)
  return state, status


def status_page(state: str, status: Mapping[str, Any]) -> RenderableType:
  """What is printed.

  Args:
    state: 'running', 'finished' or 'stopped'.
    status: content of status.json.

  Returns:
    Something that rich prints.
  """
  bound = status['bound']
  facts = Table(box=None, show_header=False)
  facts.add_row('search', state_words(state, status))
  trials = f'{status["trials"]:,}'
  facts.add_row('trials', f'{trials} of at most {bound:,}' if bound else trials)
  if bound:
    facts.add_row('', ProgressBar(bound, status['trials'], width=40))
  best = status['best']
  facts.add_row('best so far', 'none in the target' if best is None else (
      f'{best["reward"]:.4f}  {best["architecture"]},'
      f' {trial_name(best["id"])}'
  ))
  if state == 'running':
    facts.add_row('ETA', _remaining(status))
    if status['page']:
      facts.add_row('Ray', status['page'])
  parts: list[RenderableType] = [facts]
  if state == 'running' and status['running']:
    parts.append(_running(status))
  return Group(*parts)


def state_words(state: str, status: Mapping[str, Any]) -> str:
  """The state of a search, for people.

  Args:
    state: 'running', 'finished' or 'stopped'.
    status: content of status.json.

  Returns:
    A few words.
  """
  return {
      'running': 'running',
      'finished': f'finished: {status["stop_reason"]}',
      'stopped': 'stopped; the same command goes on',
  }[state]


def _remaining(status: Mapping[str, Any]) -> str:
  """Time to the bound at the pace of this run; a search may end before."""
  done = status['trials'] - status['earlier_trials']
  if not done or not status['bound']:
    return 'not known yet'
  pace = (status['written'] - status['begun']) / done
  seconds = pace * (status['bound'] - status['trials'])
  if seconds > _CENTURY:
    return 'more than a century'
  return f'at most {datetime.timedelta(seconds=round(seconds))}'


def _running(status: Mapping[str, Any]) -> Table:
  table = Table(box=box.SIMPLE)
  for heading in ('trial', 'architecture', 'worker', 'step', 'for'):
    table.add_column(heading)
  for one in status['running']:
    seconds = round(status['written'] - one['since'])
    table.add_row(
        str(one['trial']), one['architecture'], one['worker'] or 'inline',
        f'{one["step"]}/{status["steps"]}',
        str(datetime.timedelta(seconds=seconds)),
    )
  return table
