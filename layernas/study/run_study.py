"""Runs a study: methods x benchmarks x accountings x seeds, then reports."""

import os
import sys
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from layernas.errors import UserError
from layernas.experiment.progress import new_console
from layernas.experiment.workdir import Workdir
from layernas.study.markdown import table_text
from layernas.study.progress import StudyProgress
from layernas.study.report import write_report
from layernas.study.run import Key
from layernas.study.run import key_of
from layernas.study.runs_file import RunsFile
from layernas.study.setup import check_study
from layernas.study.setup import make_benchmark
from layernas.study.tables import overview
from layernas.study.workers import play_all

# They change which runs there are or how they are shown, not what a run gives.
_FREE_FIELDS = ('workers', 'seeds', 'curve_points', 'compared', 'title')


def keys_of(config: ConfigDict) -> list[Key]:
  """Names all runs that a config asks for.

  Args:
    config: see configs/benchmark_default.py.

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
    config: see configs/benchmark_default.py.
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
  directory = Workdir(workdir, _FREE_FIELDS)
  directory.open(config)
  try:
    records = _play_missing(config, RunsFile(directory.path / 'runs.jsonl'))
    summary = write_report(config, benchmarks, records, directory)
  finally:
    directory.close()
  _show(summary, directory)
  return summary


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
