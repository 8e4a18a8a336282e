"""Event files hold the curves; writing that fails stops nothing."""

import pathlib
import struct

import pytest
from tensorboardX.proto import event_pb2
from tensorboardX.proto import plugin_hparams_pb2
from tensorboardX.proto import summary_pb2

from layernas.reports.hooks import Training
from layernas.reports.tensorboard import TensorBoard
from tests import tiny
from tests.fake_gcs import Bucket

_TRAINING = Training('trials/000000', 'trial 0', 9)


def _values(path: pathlib.Path) -> list[summary_pb2.Summary.Value]:
  """All values in an event file, as TensorBoard reads it."""
  data, values = path.read_bytes(), []
  while data:
    # TFRecord framing: length, its checksum, the event, its checksum.
    (length,) = struct.unpack('<Q', data[:8])
    values += event_pb2.Event.FromString(data[12:12 + length]).summary.value
    data = data[16 + length:]
  return values


def values_of(directory: pathlib.Path, tag: str) -> list[float]:
  """Values of a tag in the event files of a directory."""
  return [
      value.simple_value for path in sorted(directory.iterdir())
      for value in _values(path) if value.tag == tag
  ]


def _choices(directory: pathlib.Path) -> dict[str, str]:
  """What the tab HParams shows of a run."""
  [content] = [
      value.metadata.plugin_data.content for path in directory.iterdir()
      for value in _values(path)
      if value.tag == '_hparams_/session_start_info'
  ]
  data = plugin_hparams_pb2.HParamsPluginData.FromString(content)
  return {
      name: value.string_value
      for name, value in data.session_start_info.hparams.items()
  }


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


def test_choices_of_every_trial_stand_with_its_curves(
    tmp_path: pathlib.Path
) -> None:
  search = tiny.searched()
  board = TensorBoard(tmp_path)
  board.before_search(search, 9, '')
  board.after_step(_TRAINING, 5, {'learning_rate': 0.5})
  board.after_training(_TRAINING)
  for trial in search.trials:
    board.after_trial(trial)
  board.close()
  for trial in search.trials:
    run = tmp_path / 'trials' / f'{trial.candidate.id:06d}'
    width, kernel, expanded = trial.candidate.architecture
    assert _choices(run) == {
        'network': f'{width}-{kernel}-{expanded}',
        'width': f'filters {(8, 16)[width]}',
        'kernel': f'kernel {(3, 5)[kernel]}',
        'expanded': f'expanded {(16, 24)[expanded]}',
    }
    assert values_of(run, 'reward') == [trial.evaluation.reward]
    assert values_of(run, 'cost') == [trial.candidate.cost]
  assert values_of(tmp_path / 'trials' / '000000', 'learning_rate') == [0.5]


def test_a_failed_trial_has_choices_and_no_reward(
    tmp_path: pathlib.Path
) -> None:
  search = tiny.searched(reward=None)
  board = TensorBoard(tmp_path)
  board.before_search(search, 9, '')
  board.after_trial(search.trials[0])
  board.close()
  run = tmp_path / 'trials' / '000000'
  assert _choices(run)['width'] == 'filters 8'
  assert values_of(run, 'reward') == []


def test_the_test_of_a_final_training(tmp_path: pathlib.Path) -> None:
  board, training = TensorBoard(tmp_path), Training('winner/seed0', '', 20)
  board.after_step(training, 20, {'learning_rate': 0.25})
  board.after_test(training, {'accuracy': 0.75, 'train_accuracy': 0.5})
  board.after_training(training)
  run = tmp_path / 'winner' / 'seed0'
  assert values_of(run, 'learning_rate') == [0.25]
  assert values_of(run, 'test_accuracy') == [0.75]
  assert values_of(run, 'test_train_accuracy') == []


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
