"""The finished runs of a study: a JSON line each, in any order."""

import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

from absl import logging

from layernas.study.run import Key
from layernas.study.run import key_of


class RunsFile:
  """Runs on disk, and which they are.

  Attributes:
    path: of the file.
    keys: of the runs that it holds.
  """

  def __init__(self, path: str | pathlib.Path):
    """Reads the keys of a file; drops lines that cannot be read.

    Args:
      path: need not exist.
    """
    self.path = pathlib.Path(path)
    self.keys: set[Key] = set()
    lines = []
    for number, line in enumerate(self._lines(), 1):
      record = _read(line)
      if record is None:
        logging.warning(
            '%s, line %d cannot be read: its run is done again', self.path,
            number,
        )
      elif key_of(record) not in self.keys:
        self.keys.add(key_of(record))
        lines.append(line)
    if self.path.exists():
      self._replace(lines)

  def append(self, lines: Iterable[str]) -> None:
    """Adds finished runs; on return they are on disk.

    Args:
      lines: JSON of one run each.
    """
    lines = list(lines)
    with open(self.path, 'a', encoding='utf-8') as file:
      file.writelines(line + '\n' for line in lines)
      file.flush()
      os.fsync(file.fileno())
    self.keys |= {key_of(json.loads(line)) for line in lines}

  def sort(self) -> list[dict[str, Any]]:
    """Puts the lines in the order of their keys: one study, one file.

    Returns:
      The runs in that order.
    """
    records = [(json.loads(line), line) for line in self._lines()]
    records.sort(key=lambda pair: key_of(pair[0]))
    self._replace([line for _, line in records])
    return [record for record, _ in records]

  def _lines(self) -> list[str]:
    if not self.path.exists():
      return []
    text = self.path.read_bytes().decode('utf-8', 'replace')
    return [line for line in text.split('\n') if line]

  def _replace(self, lines: list[str]) -> None:
    partial = self.path.with_name(self.path.name + '.partial')
    partial.write_text(''.join(line + '\n' for line in lines), 'utf-8')
    os.replace(partial, self.path)


def _read(line: str) -> dict[str, Any] | None:
  try:
    record = json.loads(line)
    key_of(record)
    return record if 'curve' in record else None
  except (ValueError, KeyError, TypeError):
    return None
