"""Files of the candidates under way: checkpoints, results, tracebacks.

Where several processes of one run train together, process 0 alone reads and
writes them and tells the others.
"""

import json
import traceback
from typing import Any

from absl import logging
from etils import epath

from layernas.errors import UserError
from layernas.experiment.workdir import read_json
from layernas.file_store import file_store
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Trial
from layernas.search.trial import trial_from_dict
from layernas.training import hosts


class CandidateFiles:
  """Directories `candidates` and `failures` of a workdir."""

  def __init__(self, workdir: epath.PathLike):
    """Names them.

    Args:
      workdir: of the search.
    """
    self._workdir = epath.Path(workdir)

  def directory(self, candidate: Candidate) -> epath.Path:
    """Where a candidate's training keeps its checkpoints."""
    return self._workdir / 'candidates' / f'{candidate.id:06d}'

  def finish(self, candidate: Candidate, evaluation: Evaluation) -> None:
    """Keeps a result until its trial is recorded, which may be much later.

    Trials are recorded in their order, and a search may be killed in between.
    """
    if hosts.is_first():
      text = json.dumps(Trial(candidate, evaluation).to_dict())
      path = self._result(candidate)
      file_store(path).write(path, text.encode())

  def finished(self, candidate: Candidate) -> Evaluation | None:
    """The result that was kept of this very candidate, or None."""
    record = hosts.on_first(lambda: self._read(candidate))
    return trial_from_dict(record).evaluation if record else None

  def clean(self, candidate: Candidate) -> None:
    """Removes the files of a candidate whose trial is recorded."""
    directory = self.directory(candidate)
    if hosts.is_first() and directory.exists():
      directory.rmtree()

  def write_failure(self, candidate: Candidate) -> None:
    """Writes the traceback of the exception that is being handled."""
    if hosts.is_first():
      path = self._workdir / 'failures' / f'{candidate.id:06d}.txt'
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_text(traceback.format_exc())

  def _result(self, candidate: Candidate) -> epath.Path:
    return self.directory(candidate) / 'result.json'

  def _read(self, candidate: Candidate) -> dict[str, Any] | None:
    path = self._result(candidate)
    if not path.exists():
      return None
    try:
      record = read_json(path)
      same = trial_from_dict(record).candidate == candidate
    except (UserError, TypeError) as error:
      logging.warning('%s: the candidate is trained again', error)
      return None
    return record if same else None
