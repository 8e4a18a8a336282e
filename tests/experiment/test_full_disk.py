"""A disk that is full or gone ends the search; the same command goes on."""

import errno
import os
import pathlib
import shutil

import pytest
from ml_collections import ConfigDict

from layernas.runs import evaluator
from layernas.runs.run_search import run_search
from layernas.storage.storage_errors import StorageError
from layernas.training.train import TrainResult
from tests import tiny
from tools.perf.search_outcome import without_times


@pytest.fixture(name='trained')
def _trained(monkeypatch):
  """Seeds of the candidates that were trained, in no time."""
  seeds = []

  def train(job, *args, **named):
    seeds.append(job.seed)
    return TrainResult({'accuracy': job.seed % 89 / 100}, 10, 1.0)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', train)
  return seeds


def _config() -> ConfigDict:
  config = tiny.get_config()
  config.compile_ahead = 0  # Nothing is trained.
  return config


def _fill_disk(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
  """Lets so many files be written to their end, and no other one."""
  fsync, left = os.fsync, iter(range(writes))

  def full(descriptor: int) -> None:
    if next(left, None) is None:
      os.ftruncate(descriptor, os.fstat(descriptor).st_size - 5)
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    fsync(descriptor)

  monkeypatch.setattr(os, 'fsync', full)


def test_a_full_disk_is_one_line_and_no_trial(
    tmp_path: pathlib.Path, trained
) -> None:
  whole, full = tmp_path / 'whole', tmp_path / 'full'
  config = _config()
  # From its first file on, and in the middle of the search.
  for writes in (0, 9):
    with pytest.MonkeyPatch.context() as monkeypatch:
      _fill_disk(monkeypatch, writes)
      with pytest.raises(StorageError, match=f'^workdir {full}: No space'):
        run_search(config, full)
    assert bool(trained) == bool(writes)
  assert not (full / 'failures').exists()
  assert not (full / 'result.json').exists()
  run_search(config, full)
  run_search(config, whole)
  assert without_times(full) == without_times(whole)


def test_a_workdir_that_goes_away_is_one_line(
    tmp_path: pathlib.Path, trained, monkeypatch: pytest.MonkeyPatch
) -> None:
  train = evaluator.train_and_evaluate

  def last(*args, **named):
    if len(trained) == 2:
      shutil.rmtree(tmp_path / 'run')
    return train(*args, **named)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', last)
  with pytest.raises(StorageError, match=f'^workdir {tmp_path}/run: is gone'):
    run_search(_config(), tmp_path / 'run')
  # And not the search that would begin in an empty directory.
  assert len(trained) == 3
