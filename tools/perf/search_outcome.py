"""Files that a search or a study must reproduce, without their wall times."""

import json
import pathlib
from typing import Any

LEFT_OUT = {
    'trials.jsonl': ('seconds',), 'tables.json': (), 'trace.json': (),
    'result.json': ('seconds', 'versions', 'config'),
    'runs.jsonl': (), 'summary.json': ('machine', 'methods'),
}
"""Fields that may differ, by file: wall times, versions, the recorded config.

The seconds of runs.jsonl are simulated, so they must not differ."""


def reproduced(workdir: pathlib.Path, name: str) -> Any:
  """Reads what must be reproduced in a file.

  Args:
    workdir: of a search or a study.
    name: of a file in `LEFT_OUT`.

  Returns:
    The content of a .json file, or a list of the records of a .jsonl file.
    Those of runs.jsonl are sorted, since workers write them in any order.
  """
  text = (workdir / name).read_text()
  lines = text.splitlines() if name.endswith('.jsonl') else [text]
  found = [json.loads(line) for line in lines]
  for record in found:
    for field in LEFT_OUT[name]:
      record.pop(field, None)
  if name == 'runs.jsonl':
    found.sort(key=json.dumps)
  return found if name.endswith('.jsonl') else found[0]


def without_times(workdir: pathlib.Path) -> dict[str, Any]:
  """Reads all that a finished search must reproduce on the same machine.

  Args:
    workdir: of the search.

  Returns:
    'trials', 'tables', 'trace' and 'result', the latter with versions and
    config.
  """
  result = json.loads((workdir / 'result.json').read_text())
  del result['seconds']
  return {
      'trials': reproduced(workdir, 'trials.jsonl'),
      'tables': (workdir / 'tables.json').read_text(),
      'trace': (workdir / 'trace.json').read_text(),
      'result': result,
  }
