"""The table of docs/scale.md on the fault drill."""

import collections
import json
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

OUTCOMES = (
    'went through', 'error and resumed', 'saved and resumed',
    'killed and resumed', 'failed',
)
"""What a drill may end with; the last one is a defect."""

FAULTS = {
    'driver_kill': 'kill -9 of the search',
    'driver_term': 'SIGTERM to the search',
    'worker_kill': 'kill -9 of a worker',
    'worker_term': 'SIGTERM to a worker',
    'nan': "NaN in a candidate's images",
    'exception': 'an exception in a training',
    'hang': 'a training hangs',
    'memory': 'a worker gets no more memory',
    'disk_full': 'the disk becomes full',
    'newest_checkpoint': 'kill -9, and a newest checkpoint is cut short',
    'older_checkpoint': 'kill -9, and an older checkpoint is overwritten',
    'history_line': 'kill -9, and zeros in trials.jsonl',
}
"""Name -> in words."""


def read(path: pathlib.Path) -> list[dict[str, Any]]:
  """Drills of a drills.jsonl, by number; none where there is no file."""
  if not path.exists():
    return []
  lines = path.read_text().splitlines()
  return sorted(map(json.loads, lines), key=lambda drill: drill['drill'])


def table(drills: Sequence[Mapping[str, Any]]) -> str:
  """Faults, outcomes and counts as Markdown.

  Args:
    drills: as drills.jsonl has them.

  Returns:
    A row for each fault, and one for all.
  """
  counts = {name: collections.Counter() for name in FAULTS}
  for drill in drills:
    counts[drill['fault']][drill['outcome']] += 1
  rows = [(FAULTS[name], counter) for name, counter in counts.items()]
  rows.append(('all', sum(counts.values(), collections.Counter())))
  cells = [
      ('fault', 'searches', *OUTCOMES),
      ('---', *['---:'] * (1 + len(OUTCOMES))),
      *(
          (name, str(counter.total()),
           *(str(counter[outcome]) for outcome in OUTCOMES))
          for name, counter in rows
      ),
  ]
  return '\n'.join(f'| {" | ".join(row)} |' for row in cells)
