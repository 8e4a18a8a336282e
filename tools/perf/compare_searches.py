"""Compares what two runs of a search or of a study gave.

  .venv/bin/python tools/perf/compare_searches.py WORKDIR OTHER_WORKDIR

It compares trials.jsonl, tables.json, trace.json, result.json, runs.jsonl and
summary.json, as far as there are any, and prints for each that it is equal, or
its first difference. Wall times, versions and the recorded config may differ.
The exit code is 0 if all are equal, 1 if some differ, and 2 if a workdir has
none of these files.
"""

import json
import pathlib
import sys
from typing import Any

from absl import app

from tools.perf.search_outcome import LEFT_OUT
from tools.perf.search_outcome import reproduced


def main(argv: list[str]) -> int:
  """Prints a line for every file."""
  if len(argv) != 3:
    raise app.UsageError('two workdirs must be given')
  one, other = map(pathlib.Path, argv[1:])
  for workdir in (one, other):
    if not any((workdir / name).exists() for name in LEFT_OUT):
      print(f'error: {workdir}: no files of a search or a study: allowed is a'
            f' directory with some of {", ".join(LEFT_OUT)}', file=sys.stderr)
      return 2
  found = compare(one, other)
  for name, said in found.items():
    print(f'{name}: {said or "equal"}')
  return int(any(found.values()))


def compare(one: pathlib.Path, other: pathlib.Path) -> dict[str, str]:
  """Compares the files of two workdirs.

  Args:
    one: a workdir.
    other: another one.

  Returns:
    First differences by file, '' if there is none; files that neither workdir
    has are left out.
  """
  found = {}
  for name in LEFT_OUT:
    missing = [
        workdir for workdir in (one, other) if not (workdir / name).exists()
    ]
    if len(missing) == 1:
      found[name] = f'not in {missing[0]}'
    elif not missing:
      found[name] = difference(
          reproduced(one, name), reproduced(other, name)
      )
  return found


def difference(one: Any, other: Any, path: str = '') -> str:
  """Finds the first difference of two JSON values, order of fields included.

  Args:
    one: a value.
    other: another one.
    path: to the values, for the message.

  Returns:
    Where the values differ, and how; '' if they are equal.
  """
  if json.dumps(one) == json.dumps(other):
    return ''
  if isinstance(one, dict) and isinstance(other, dict):
    if list(one) != list(other):
      return f'{path}: fields {list(one)} and {list(other)}'
    pairs = [(f'{path}.{key}', one[key], other[key]) for key in one]
  elif isinstance(one, list) and isinstance(other, list):
    if len(one) != len(other):
      return f'{path}: {len(one)} and {len(other)} entries'
    pairs = [
        (f'{path}[{place}]', *values)
        for place, values in enumerate(zip(one, other, strict=True))
    ]
  else:
    return f'{path}: {json.dumps(one)[:200]} and {json.dumps(other)[:200]}'
  differences = (difference(*values, at) for at, *values in pairs)
  return next(filter(None, differences))


if __name__ == '__main__':
  app.run(main)
