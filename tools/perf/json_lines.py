"""Files of JSON lines that measurements go on with."""

import json
import pathlib
from typing import Any


class Lines:
  """A file of JSON lines that grows; what a kill left of the last is cut."""

  def __init__(self, path: pathlib.Path):
    """Reads what is there.

    Args:
      path: of the file, which need not exist.
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
    path: of the file.
    line: JSON types.
  """
  with path.open('a') as file:
    file.write(json.dumps(line) + '\n')
