"""Event files hold the curves; writing that fails stops nothing."""

import pathlib
import struct

import pytest
from tensorboardX.proto import event_pb2

from layernas.reports.hooks import Training
from layernas.reports.tensorboard import TensorBoard
from tests import tiny
from tests.fake_gcs import Bucket

_TRAINING = Training('trials/000000', 'trial 0', 9)


def values_of(directory: pathlib.Path, tag: str) -> list[float]:
  """Values of a tag in the only event file of a directory."""
  [path] = directory.iterdir()
  data, values = path.read_bytes(), []
  while data:
    # TFRecord framing: length, its checksum, the event, its checksum.
    (length,) = struct.unpack('<Q', data[:8])
    event = event_pb2.Event.FromString(data[12:12 + length])
    values += [v.simple_value for v in event.summary.value if v.tag == tag]
    data = data[16 + length:]
  return values


def test_curves_of_a_search_and_of_its_trainings(
    tmp_path: pathlib.Path
) -> None:
  search = tiny.searched()
  board = TensorBoard(tmp_path)
  board.before_search(search, 9, '')
  for trial in search.trials:
    board.after_trial(trial)
  board.after_step(_TRAINING, 5, {'train_loss': 1.5})
  board.after_training(_TRAINING)
  assert values_of(tmp_path / 'trials' / '000000', 'train_loss') == [1.5]
  board.close()
  assert values_of(tmp_path / 'search', 'reward') == pytest.approx(
      [trial.evaluation.reward for trial in search.trials]
  )
  assert len(values_of(tmp_path / 'search', 'best')) == len(search.trials)


def test_event_files_in_a_bucket(
    bucket: Bucket, tmp_path: pathlib.Path
) -> None:
  board = TensorBoard(f'{bucket.url}/run/tensorboard')
  for step in range(30):
    board.after_step(_TRAINING, step, {'train_loss': step / 4})
  board.close()
  bucket.download(tmp_path)
  found = values_of(tmp_path / 'run/tensorboard/trials/000000', 'train_loss')
  assert found == [step / 4 for step in range(30)]


def test_a_bucket_that_fails_stops_nothing(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
  monkeypatch.setattr(bucket.server, 'refused', 'tensorboard')
  board = TensorBoard(f'{bucket.url}/run/tensorboard')
  # More than tensorboardX's queue holds.
  for step in range(100):
    board.after_step(_TRAINING, step, {'train_loss': 1.0})
  with caplog.at_level('WARNING', logger='absl'):
    board.close()
  assert any('was not written' in message for message in caplog.messages)


def test_a_disk_that_fails_stops_nothing(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
  directory = tmp_path / 'tensorboard'
  directory.write_text('no directory')
  board, other = TensorBoard(directory), Training('other', '', 9)
  with caplog.at_level('WARNING', logger='absl'):
    for step in range(100):
      board.after_step(_TRAINING, step, {'train_loss': 1.0})
    board.after_step(other, 1, {'train_loss': 1.0})
    board.after_training(other)
    directory.unlink()
    board.close()
  assert any('was not written' in message for message in caplog.messages)
  # What could not be written before is not lost.
  found = values_of(directory / 'trials' / '000000', 'train_loss')
  assert found == [1.0] * 100
