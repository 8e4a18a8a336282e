"""What a running search is at, in status.json for other programs to read."""

import time
from typing import Any

from layernas.experiment.workdir import Workdir
from layernas.search import Candidate
from layernas.search import Search
from layernas.search.space import architecture_id

FILE = 'status.json'

_LOCAL_SECONDS, _BUCKET_SECONDS = 1.0, 30.0
"""Between two writes, on a disk and on gs://, where an object is written at
most once a second and costs."""


class LiveStatus:
  """Writes the file whenever something has changed, but not too often.

  Attributes:
    page: address of a page that shows the workers; '' where there is none.
  """

  def __init__(self, directory: Workdir, search: Search, steps: int):
    """Writes for the first time.

    Args:
      directory: of the run.
      search: that runs, with the finished trials replayed.
      steps: of every candidate.
    """
    self._directory = directory
    self._search = search
    self._steps = steps
    self.page = ''
    self._begun = time.time()
    self._earlier = len(search.trials)
    self._running: dict[int, dict[str, Any]] = {}
    local = '://' not in str(directory.path)
    self._least = _LOCAL_SECONDS if local else _BUCKET_SECONDS
    self._written = 0.0
    self.write()

  def began(self, candidate: Candidate, worker: str) -> None:
    """A candidate begins to train, perhaps once more."""
    self._running[candidate.id] = {
        'trial': candidate.id,
        'architecture': architecture_id(candidate.architecture),
        'worker': worker, 'step': 0, 'since': time.time(),
    }
    self._write_sometimes()

  def stepped(self, candidate: Candidate, step: int) -> None:
    """A candidate has come to a step."""
    self._running[candidate.id]['step'] = step
    self._write_sometimes()

  def evaluated(self, candidate: Candidate) -> None:
    """A candidate is evaluated."""
    self._running.pop(candidate.id, None)
    self._write_sometimes()

  def write(self) -> None:
    """Writes the file now."""
    search, best = self._search, self._search.best
    self._directory.write_json(FILE, {
        'trials': len(search.trials),
        'earlier_trials': self._earlier,
        'bound': search.bound,
        'best': best and best.to_dict(),
        # Those of a finished search were withdrawn.
        'running': [] if search.finished else list(self._running.values()),
        'steps': self._steps,
        'page': self.page,
        'stop_reason': search.stop_reason,
        'begun': self._begun,
        'written': time.time(),
    })
    self._written = time.monotonic()

  def _write_sometimes(self) -> None:
    if time.monotonic() - self._written >= self._least:
      self.write()
