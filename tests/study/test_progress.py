"""Tests of layernas.study.run_study."""

import io

from rich.console import Console

from layernas.study import run_study
from layernas.study.run_study import StudyProgress


def console(terminal):
  return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def test_lines_take_the_place_of_the_bar(monkeypatch):
  now = iter([100.0, 105.0, 120.0, 121.0])
  monkeypatch.setattr(run_study.time, 'monotonic', lambda: next(now))
  where = console(terminal=False)
  with StudyProgress(where, finished=10, total=60) as shown:
    shown.advance(5)
    shown.advance(5)
    shown.advance(1)
  # 10 runs in 20 seconds, 40 to go; the other calls come too early.
  assert where.file.getvalue() == '20 of 60 runs, about 80 s left\n'


def test_bar_on_a_terminal():
  where = console(terminal=True)
  with StudyProgress(where, finished=10, total=60) as shown:
    shown.advance(50)
  assert '60/60' in where.file.getvalue()
  assert 'ETA' in where.file.getvalue()
