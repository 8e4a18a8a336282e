"""The files of a report."""

import json
import pathlib

from layernas.storage.workdir import Workdir
from layernas.study.report import picture_files
from layernas.study.report import render
from layernas.study.report import write_report
from layernas.study.summary import to_json
from tests import tiny
from tests.study import tiny_study


def test_pages_are_a_function_of_the_summary(tmp_path: pathlib.Path) -> None:
  first, second = tmp_path / 'first', tmp_path / 'second'
  summary = write_report(
      tiny_study.config(), {'toy': tiny_study.BENCHMARK}, tiny_study.records(),
      Workdir(first),
  )
  stored = json.loads((first / 'summary.json').read_text())
  assert stored == summary
  second.mkdir()
  render(stored, second)
  pages = {'report.md', 'report.html', *picture_files(summary['sections'][0])}
  assert {path.name for path in second.iterdir()} == pages
  for name in pages:
    assert (first / name).read_bytes() == (second / name).read_bytes()


def test_no_run_is_in_the_summary(tmp_path: pathlib.Path) -> None:
  many = [r | {'seed': 10 * k + r['seed']}
          for k in range(50) for r in tiny_study.records()]
  sizes = []
  for records in (tiny_study.records(), many):
    write_report(
        tiny_study.config(), {'toy': tiny_study.BENCHMARK}, records,
        Workdir(tmp_path / str(len(records))),
    )
    path = tmp_path / str(len(records)) / 'summary.json'
    sizes.append(path.stat().st_size)
  assert sizes[1] < sizes[0] + 50


def test_program_makes_the_pages_of_a_stored_summary(
    tmp_path: pathlib.Path,
) -> None:
  (tmp_path / 'first').mkdir()
  directory = Workdir(tmp_path / 'first')
  summary = tiny_study.summary()
  directory.write_text('summary.json', to_json(summary))
  render(summary, tmp_path / 'first')
  done = tiny.run_program(
      'benchmark_report', f'--summary={tmp_path}/first/summary.json',
      f'--workdir={tmp_path}/second',
  )
  assert done.returncode == 0, done.stderr
  for name in ('report.html', 'report.md'):
    first, second = (
        (tmp_path / which / name).read_bytes() for which in ('first', 'second')
    )
    assert first == second
  wrong = tiny.run_program(
      'benchmark_report', f'--summary={tiny.ROOT}/docs/results/trace_example/'
      'trace.json', f'--workdir={tmp_path}/third',
  )
  assert wrong.returncode == 2
  assert 'no sections in it' in wrong.stderr
