"""Timings on file: written at once, never taken twice."""

import pathlib

import pytest

from layernas.errors import UserError
from layernas.latency.run_latency import Measurements
from layernas.latency.stopwatch import Timing
from layernas.networks.latency import read_latency_table
from layernas.storage.workdir import Workdir


def _open(path: pathlib.Path) -> Measurements:
  return Measurements(Workdir(path), 'a.csv', 'signature', 5)


def _never() -> Timing:
  raise AssertionError('timed again')


def test_every_timing_is_on_file_at_once(tmp_path: pathlib.Path) -> None:
  table = _open(tmp_path)
  table.measure('stem', lambda: Timing(2.0, 1.5, 2.5))
  timing = table.measure('head', lambda: Timing(1.0 / 3, 0.25, 0.5))
  assert (tmp_path / 'a.csv').read_text() == (
      'signature,milliseconds,lower_quartile,upper_quartile,repeats\n'
      'stem,2.0,1.5,2.5,5\n'
      'head,0.333333,0.25,0.5,5\n'
  )
  # What is handed back is what another run will read.
  again = _open(tmp_path)
  assert again.measure('head', _never) == timing == Timing(0.333333, 0.25, 0.5)
  assert again.timings == table.timings
  assert read_latency_table(tmp_path / 'a.csv') == {
      'stem': 2.0, 'head': 0.333333
  }


def test_an_interrupted_timing_leaves_nothing(tmp_path: pathlib.Path) -> None:
  table = _open(tmp_path)

  def interrupted() -> Timing:
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    table.measure('stem', interrupted)
  assert not (tmp_path / 'a.csv').exists()


def test_damaged_files_are_named(tmp_path: pathlib.Path) -> None:
  _open(tmp_path).measure('stem', lambda: Timing(2.0, 1.5, 2.5))
  path = tmp_path / 'a.csv'
  path.write_text(path.read_text().replace('2.5', ''))
  with pytest.raises(UserError, match="line 2, column 'upper_quartile'"):
    _open(tmp_path)
