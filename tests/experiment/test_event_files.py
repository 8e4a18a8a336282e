"""Event files on gs:// and on a disk, and writing that fails."""

import pathlib

import pytest

from layernas.reports.tensorboard import Scalars
from tests.experiment.test_scalars import values_of
from tests.fake_gcs import Bucket


def test_event_files_in_a_bucket(
    bucket: Bucket, tmp_path: pathlib.Path
) -> None:
  scalars = Scalars(f'{bucket.url}/run/tensorboard')
  for step in range(30):
    scalars.write('search', step, {'reward': step / 4})
  scalars.close()
  bucket.download(tmp_path)
  assert values_of(tmp_path / 'run' / 'tensorboard' / 'search', 'reward') == [
      step / 4 for step in range(30)
  ]


def test_a_bucket_that_fails_stops_nothing(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
  monkeypatch.setattr(bucket.server, 'refused', 'tensorboard')
  scalars = Scalars(f'{bucket.url}/run/tensorboard')
  # More than tensorboardX's queue holds.
  for step in range(100):
    scalars.write('search', step, {'reward': 1.0})
  with caplog.at_level('WARNING', logger='absl'):
    scalars.close()
  assert any('was not written' in message for message in caplog.messages)


def test_a_disk_that_fails_stops_nothing(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
  directory = tmp_path / 'tensorboard'
  directory.write_text('no directory')
  scalars = Scalars(directory)
  with caplog.at_level('WARNING', logger='absl'):
    for step in range(100):
      scalars.write('search', step, {'reward': 1.0})
    scalars.write('other', 0, {'reward': 1.0})
    scalars.close('other')
    directory.unlink()
    scalars.close()
  assert any('was not written' in message for message in caplog.messages)
  # What could not be written before is not lost.
  assert values_of(directory / 'search', 'reward') == [1.0] * 100
