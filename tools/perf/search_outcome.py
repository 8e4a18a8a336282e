"""What a search must give again, whatever happened on the way."""

import json
import pathlib
from typing import Any


def without_times(workdir: pathlib.Path) -> dict[str, Any]:
  """All that a finished search has to give to the byte: all but wall times.

  Args:
    workdir: of the search.

  Returns:
    'trials', 'tables', 'trace' and 'result'.
  """
  trials = [
      json.loads(line)
      for line in (workdir / 'trials.jsonl').read_text().splitlines()
  ]
  result = json.loads((workdir / 'result.json').read_text())
  for record in [*trials, result]:
    del record['seconds']
  return {
      'trials': trials,
      'tables': (workdir / 'tables.json').read_text(),
      'trace': (workdir / 'trace.json').read_text(),
      'result': result,
  }
