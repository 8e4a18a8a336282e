"""Event files on gs://, and uploads that fail."""

import pathlib

import pytest

from layernas.experiment.scalars import Scalars
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
  assert any('was not uploaded' in message for message in caplog.messages)
