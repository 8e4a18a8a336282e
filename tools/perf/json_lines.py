"""Files of JSON lines that measurements go on with."""

import json
import pathlib
from typing import Any

from absl import flags

from layernas.runs import cli


class Lines:
  """A file of JSON lines that grows; what a kill left of the last is cut."""

  def __init__(self, path: pathlib.Path):
    """Reads what is there.

    Args:
      path: of the file; neither it nor its directory need exist.
    """
    self._path = path
    text = path.read_text() if path.exists() else ''
    whole = text[:text.rfind('\n') + 1]
    if whole != text:
      path.write_text(whole)
    self.all: list[dict[str, Any]] = list(map(json.loads, whole.splitlines()))

  def add(self, line: dict[str, Any]) -> None:
    """Writes one more."""
    self.all.append(line)
    append(self._path, line)


def append(path: pathlib.Path, line: dict[str, Any]) -> None:
  """Writes a line behind the others.

  Args:
    path: of the file; its directory is made where there is none.
    line: JSON types.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open('a') as file:
    file.write(json.dumps(line) + '\n')


def define_result_flags(name: str) -> None:
  """Defines --output and --report.

  Not when a program is imported: others and tests do that.

  Args:
    name: of the directory below docs/results that its results are in.
  """
  cli.define_path(
      'output', 'Where the results are written.', default=f'docs/results/{name}'
  )
  flags.DEFINE_bool('report', False, 'Print the table and end.')
