"""Timings in a CSV file that grows by one row at a time."""

import csv
import dataclasses
import io
from collections.abc import Callable

from etils import epath

from layernas.csv_file import CsvFile
from layernas.experiment.stopwatch import Timing
from layernas.experiment.workdir import Workdir
from layernas.networks.latency import VALUE

_COLUMNS = (VALUE, 'lower_quartile', 'upper_quartile', 'repeats')


class Measurements:
  """What was timed; what the file holds already is not timed again.

  Attributes:
    timings: by what was timed.
  """

  def __init__(self, directory: Workdir, name: str, key: str, repeats: int):
    """Reads what was timed before.

    Args:
      directory: open.
      name: of the file.
      key: heading of the first column.
      repeats: timed calls behind each timing.

    Raises:
      UserError: the file is damaged.
    """
    self._directory = directory
    self._name = name
    self._key = key
    self._repeats = repeats
    path = directory.path / name
    self.timings = _read(path, key) if path.exists() else {}

  def measure(self, text: str, time: Callable[[], Timing]) -> Timing:
    """Times what is new, and writes the file.

    Args:
      text: key of what is timed.
      time: times it.

    Returns:
      Its timing, as the file holds it.
    """
    if text not in self.timings:
      values = dataclasses.astuple(time())
      # Six digits are more than a clock is good for.
      self.timings[text] = Timing(*(float(f'{value:.6g}') for value in values))
      self._write()
    return self.timings[text]

  def _write(self) -> None:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow([self._key, *_COLUMNS])
    for text, timing in self.timings.items():
      writer.writerow([text, *dataclasses.astuple(timing), self._repeats])
    self._directory.write_text(self._name, file.getvalue())


def _read(path: epath.Path, key: str) -> dict[str, Timing]:
  """Timings that a file holds, by the texts of its key column."""
  file = CsvFile(path)
  columns = [file.numbers(name, least=0) for name in _COLUMNS[:-1]]
  return {
      text: Timing(*values)
      for text, *values in zip(file.keys(key), *columns, strict=True)
  }
