"""Runs a study: methods x benchmarks x accountings x seeds, then reports.

Every finished run is a line of runs.jsonl at once, in any order: a study that
was killed goes on with the runs that are missing.
"""

import json
import os
import pathlib
import sys
import time
from collections.abc import Iterable
from typing import Any
from typing import Self

from absl import logging
from etils import epath
from ml_collections import ConfigDict
from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn

from layernas import activity
from layernas.errors import UserError
from layernas.reports.console import new_console
from layernas.storage.resuming import STUDY
from layernas.storage.workdir import Workdir
from layernas.study.inputs import own_code_inputs
from layernas.study.inputs import table_inputs
from layernas.study.protocol import direction_line
from layernas.study.report import table_text
from layernas.study.report import write_report
from layernas.study.report_tables import overview
from layernas.study.run import Key
from layernas.study.run import key_of
from layernas.study.run import play_all
from layernas.study.setup import check_study
from layernas.study.setup import make_benchmark
from layernas.study.tables.benchmark import Benchmark

# Seconds between lines where there is no terminal for a bar.
_INTERVAL = 15


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


class StudyProgress:
  """A bar of finished runs with ETA; a context.

  Without a terminal a line now and then takes the bar's place.
  """

  def __init__(self, console: Console, finished: int, total: int):
    """Prepares.

    Args:
      console: to print on.
      finished: runs done before.
      total: runs in all.
    """
    self._console = console
    self._finished = self._before = finished
    self._total = total
    self._begun = self._printed = time.monotonic()
    self._bar = Progress(
        TextColumn('runs'), BarColumn(bar_width=30), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn('ETA'), TimeRemainingColumn(),
        console=console, disable=not console.is_terminal,
    )
    self._task = self._bar.add_task('runs', total=total, completed=finished)

  def __enter__(self) -> Self:
    self._bar.start()
    return self

  def __exit__(self, *error: object) -> None:
    self._bar.stop()

  def advance(self, runs: int) -> None:
    """Shows that some more runs have finished."""
    self._finished += runs
    self._bar.update(self._task, completed=self._finished)
    now = time.monotonic()
    if self._console.is_terminal or now < self._printed + _INTERVAL:
      return
    self._printed = now
    rate = (now - self._begun) / (self._finished - self._before)
    left = rate * (self._total - self._finished)
    self._console.print(
        f'{self._finished:,} of {self._total:,} runs, about {left:.0f} s left'
    )


def keys_of(config: ConfigDict) -> list[Key]:
  """Names all runs that a config asks for.

  Args:
    config: see configs/study/default.py.

  Returns:
    Keys, grouped by benchmark, accounting and method.
  """
  return [
      Key(benchmark, accounting, name, seed)
      for benchmark, section in config.benchmarks.items()
      for accounting in config.accountings
      for name, method in config.methods.items()
      for seed in range(
          min(method.seeds or config.seeds, section.seeds or sys.maxsize)
      )
  ]


def run_study(config: ConfigDict, workdir: epath.PathLike) -> dict[str, Any]:
  """Runs or resumes a study and writes its report.

  Args:
    config: see configs/study/default.py.
    workdir: of the study; finished runs in it are not done again.

  Returns:
    Content of summary.json.

  Raises:
    UserError: something in config or workdir is wrong; the workdir has not
      been touched.
  """
  if '://' in os.fspath(workdir):
    raise UserError(f'workdir {workdir}: allowed is a directory on a disk')
  check_study(config)
  benchmarks = {
      name: make_benchmark(name, section)
      for name, section in config.benchmarks.items()
  }
  directory = Workdir(workdir, STUDY)
  inputs = table_inputs(config, benchmarks) + own_code_inputs(config)
  with directory.opened(config, inputs):
    _show_directions(benchmarks.values())
    records = _play_missing(config, RunsFile(directory.path / 'runs.jsonl'))
    with activity.doing('writing the report'):
      summary = write_report(config, benchmarks, records, directory)
  _show(summary, directory)
  return summary


def _show_directions(benchmarks: Iterable[Benchmark]) -> None:
  """Says first what is maximised: nothing shows that it should not be."""
  console = new_console()
  for benchmark in benchmarks:
    console.print(direction_line(benchmark))


def _show(summary: dict[str, Any], directory: Workdir) -> None:
  """Prints the means and where the report lies."""
  console = new_console()
  for accounting in dict.fromkeys(s['accounting'] for s in summary['sections']):
    console.print(f'\n{accounting}:')
    console.print(table_text(overview(summary, accounting)))
  console.print(
      f'report: {directory.path}/report.html, report.md, summary.json'
  )


def _play_missing(config: ConfigDict, runs: RunsFile) -> list[dict[str, Any]]:
  """Plays what the file lacks; returns all runs that the config asks for."""
  console = new_console()
  wanted = keys_of(config)
  missing = [key for key in wanted if key not in runs.keys]
  if len(missing) < len(wanted):
    console.print(f'{len(wanted) - len(missing):,} runs are finished already')
  with StudyProgress(
      console, len(wanted) - len(missing), len(wanted)
  ) as progress:
    for lines in play_all(config, missing):
      runs.append(lines)
      progress.advance(len(lines))
  keys = set(wanted)
  return [record for record in runs.sort() if key_of(record) in keys]
