"""TensorBoard files hold the search's curve."""

import pathlib
import struct

import pytest
from tensorboardX.proto import event_pb2

from layernas.reports.tensorboard import Scalars
from tests.experiment.test_report import searched


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


def test_scalars_of_a_search(tmp_path: pathlib.Path) -> None:
  search = searched()
  scalars = Scalars(tmp_path)
  for trial in search.trials:
    scalars.trial(trial, search)
  scalars.write('trials/000000', 5, {'train_loss': 1.5})
  scalars.close('trials/000000')
  scalars.close()
  assert values_of(tmp_path / 'search', 'reward') == pytest.approx(
      [trial.evaluation.reward for trial in search.trials]
  )
  assert len(values_of(tmp_path / 'search', 'best')) == len(search.trials)
  assert values_of(tmp_path / 'trials' / '000000', 'train_loss') == [1.5]
