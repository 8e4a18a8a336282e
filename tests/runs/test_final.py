"""Final training: winner beside a width-scaled reference, resumable."""

import pathlib
import signal

import pytest
from ml_collections import ConfigDict

from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.networks.mobilenet_spaces import mobilenet_space
from layernas.networks.reference import mobilenet_v2
from layernas.networks.reference import scale_filters
from layernas.networks.scaling import neighbours_in_width
from layernas.reports.hooks import Hook
from layernas.reports.hooks import Training
from layernas.runs import final
from layernas.runs.final import read_architecture
from layernas.runs.final import run_final
from layernas.training.train import Job
from layernas.training.train import NonFiniteLossError
from layernas.training.train import TrainResult
from tests import tiny


@pytest.mark.parametrize('madds', [50_000_000, 150_000_000, 300_774_272])
def test_reference_is_the_narrowest_with_as_many_madds(madds: int) -> None:
  network = mobilenet_v2()
  _, scaled = neighbours_in_width(
      mobilenet_space('mobilenet_v2'),
      lambda network: network.counts(224, 1000).madds >= madds,
      ConfigDict({'rule': 'proportional', 'divisor': 1}),
  )
  found = scaled.counts(224, 1000).madds
  assert madds <= found <= 1.05 * madds
  narrower = [
      scale_filters(network, step / 1000, 1).counts(224, 1000).madds
      for step in range(1, 1001)
  ]
  assert found == min(value for value in narrower if value >= madds)


class _Preempts(Hook):
  """SIGTERM in the first training."""

  def after_step(self, training: Training, step: int, metrics: object) -> None:
    del metrics
    if (training.name, step) == ('winner/seed0', 5):
      signal.raise_signal(signal.SIGTERM)


def test_winner_and_reference_are_trained_once(
    trained: tuple[pathlib.Path, list], tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
  workdir, rows = trained
  assert [row['name'] for row in rows] == ['winner', 'width-scaled reference']
  assert rows[0]['madds'] <= rows[1]['madds']
  assert (workdir / 'final.png').exists()

  def forbidden(*args: object, **kwargs: object) -> None:
    raise AssertionError('trained again')

  monkeypatch.setattr(final, 'train_and_evaluate', forbidden)
  architecture = read_architecture(str(tiny.result_file(tmp_path)))
  config = tiny.changed(**{'reference.seeds': 1})
  assert run_final(config, architecture, workdir) == rows
  *_, picture, command = capsys.readouterr().out.splitlines()
  assert picture == f'picture: {workdir}/final.png'
  # What the next command takes is there.
  _, program, model = command.removeprefix('next: ').split()
  assert program == 'export'
  assert (pathlib.Path(model) / 'model.json').exists()


def test_a_training_that_diverges_is_one_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  def diverging(*args: object, **kwargs: object) -> None:
    raise NonFiniteLossError('loss is nan at step 3')

  monkeypatch.setattr(final, 'train_and_evaluate', diverging)
  architecture = read_architecture(str(tiny.result_file(tmp_path)))
  message = 'winner, seed 0: loss is nan at step 3; .* final.learning_rate'
  with pytest.raises(UserError, match=message):
    run_final(tiny.get_config(), architecture, tmp_path / 'final')


@pytest.mark.long
def test_a_preempted_final_training_goes_on(tmp_path: pathlib.Path) -> None:
  architecture = read_architecture(str(tiny.result_file(tmp_path)))
  config = tiny.changed(**{'reference.seeds': 1})
  rows = run_final(config, architecture, tmp_path / 'whole')
  preempted = tmp_path / 'preempted'
  with pytest.raises(Preempted, match='saved after step'):
    run_final(config, architecture, preempted, [_Preempts()])
  assert list((preempted / 'winner' / 'seed0' / 'checkpoints').iterdir())
  assert run_final(config, architecture, preempted) == rows


def test_recipe_and_splits_are_the_final_ones(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  seen = []

  def record(job: Job, *args: object, **named: object) -> TrainResult:
    seen.append((job.config.training.epochs, job.split, job.evaluation_split))
    return TrainResult({'accuracy': 0.5}, 1, 1.0)

  monkeypatch.setattr(final, 'train_and_evaluate', record)
  config = tiny.get_config()
  config.final.epochs = 0.75
  architecture = read_architecture(str(tiny.result_file(tmp_path)))
  rows = run_final(config, architecture, tmp_path / 'final')
  assert [row['accuracies'] for row in rows] == [[0.5, 0.5]] * 2
  assert set(seen) == {(0.75, 'all_train', 'test')}


def test_published_network_by_name() -> None:
  architecture = read_architecture('mobilenet_v2')
  assert architecture.network == mobilenet_v2()
  assert architecture.config is None
