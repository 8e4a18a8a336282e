"""Where the wall time of each trial went: timings.jsonl.

Beside trials.jsonl, which is the same in every run of a search but for its
seconds. A trial that was interrupted has the times since it went on.
"""

import json
from collections.abc import Mapping

from etils import epath

from layernas.file_store import file_store


class Timings:
  """A line per trial on disk."""

  def __init__(self, workdir: epath.PathLike):
    """Names the file.

    Args:
      workdir: an existing directory.
    """
    path = epath.Path(workdir) / 'timings.jsonl'
    self._lines = file_store(path).lines(path)
    stored = self._lines.read() or b''
    # A line that a kill cut short is not one.
    whole = stored[:stored.rfind(b'\n') + 1]
    if whole != stored:
      self._lines.replace(whole.decode())

  def append(self, trial_id: int, seconds: Mapping[str, float]) -> None:
    """Records a trial.

    Args:
      trial_id: number of the trial.
      seconds: by phase, see `training.wall_time.PHASES`.
    """
    rounded = {name: round(value, 4) for name, value in seconds.items()}
    self._lines.append(json.dumps({'id': trial_id, **rounded}) + '\n')

  def total(self) -> dict[str, float]:
    """Seconds of all recorded trials by phase; empty where there is none."""
    total: dict[str, float] = {}
    for line in (self._lines.read() or b'').splitlines():
      for name, value in json.loads(line).items():
        if name != 'id':
          total[name] = total.get(name, 0.0) + value
    return total

  def close(self) -> None:
    """Leaves one whole file."""
    self._lines.close()
