"""Ours, the plain loop and PyTorch train one small candidate; the command."""

import subprocess
import sys

import pytest

from layernas.networks.spec import count
from layernas.runs.setup import make_space
from layernas.search.space import parse_architecture_id
from tests import tiny
from tools.perf import candidates_report
from tools.perf import our_search
from tools.perf import plain_loop

_PROGRAM = tiny.ROOT / 'benchmarks' / 'candidates.py'


@pytest.fixture(scope='module', name='config')
def _config():
  """One candidate, four steps of 50 images."""
  config = tiny.get_config().unlock()
  config.budget.trials = 1
  config.training.batch_size = 50
  config.training.epochs = 4 / 160
  return config.lock()


@pytest.fixture(scope='module', name='ours')
def _ours(config):
  return our_search.measure(config)


def test_ours_is_split_completely(ours) -> None:
  [one] = ours['candidates']
  assert one['images'] == 4 * 50
  assert set(one['seconds']) == {
      'compile', 'train', 'evaluate', 'save', 'other'
  }
  assert 0 < sum(one['seconds'].values()) <= ours['whole_seconds']


def test_the_plain_loop_trains_the_same_network(config, ours) -> None:
  found = plain_loop.measure(config, ours['candidates'], 2)
  [mine], [one] = ours['candidates'], found['candidates']
  assert {name: one[name] for name in ('architecture', 'seed', 'images')} == {
      name: mine[name] for name in ('architecture', 'seed', 'images')
  }
  assert all(one['seconds'][part] > 0 for part in one['seconds'])
  assert set(one['seconds']) == {
      'trace', 'compile', 'train', 'evaluate', 'save', 'other'
  }
  assert found['naive_steps'] == 2


def test_pytorch_trains_the_same_network(config, ours, monkeypatch) -> None:
  pytest.importorskip(
      'torch', reason='tools/perf/requirements.txt is not installed'
  )
  torch_loop = pytest.importorskip('tools.perf.torch_loop')
  trained = []

  class Network(torch_loop.TorchNetwork):

    def __init__(self, *arguments):
      super().__init__(*arguments)
      trained.append(self)

  monkeypatch.setattr(torch_loop, 'TorchNetwork', Network)
  found = torch_loop.measure(config, ours['candidates'])
  [mine], [one], [net] = ours['candidates'], found['candidates'], trained
  assert (one['architecture'], one['images']) == (
      mine['architecture'], mine['images']
  )
  for part in ('train', 'evaluate', 'save'):
    assert one['seconds'][part] > 0
  spec = make_space(config.space).network(
      parse_architecture_id(mine['architecture'])
  )
  assert count(spec, 16, 10).params == sum(
      parameter.numel() for parameter in net.parameters()
  )


def test_pytorch_evaluates_without_padding() -> None:
  torch = pytest.importorskip(
      'torch', reason='tools/perf/requirements.txt is not installed'
  )
  torch_loop = pytest.importorskip('tools.perf.torch_loop')
  batch = torch_loop.TorchBatch(
      torch.tensor([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 0.0]]),
      torch.tensor([0, 1, 1, 1]), torch.tensor([1.0, 1.0, 1.0, 0.0]),
  )
  found = torch_loop.evaluate(torch.nn.Identity(), [batch, batch])
  assert found['accuracy'] == pytest.approx(2 / 3)
  assert found['loss'] == pytest.approx(3.0, abs=1e-3)


def test_a_loop_needs_our_candidates(tmp_path) -> None:
  done = subprocess.run(
      [sys.executable, str(_PROGRAM), '--run=naive', f'--output={tmp_path}'],
      capture_output=True, text=True, cwd=tiny.ROOT, check=False,
  )
  assert done.returncode == 2
  assert '--mode=ours comes first' in done.stderr


@pytest.mark.slow
def test_all_modes_of_the_command(tmp_path) -> None:
  command = [
      sys.executable, str(_PROGRAM), f'--output={tmp_path}', '--candidates=1',
      '--steps=2', '--naive_steps=2',
  ]
  pytest.importorskip('torch')
  done = subprocess.run(
      [*command, '--mode=all'], capture_output=True, text=True, cwd=tiny.ROOT,
      check=False,
  )
  assert done.returncode == 0, done.stderr
  folder = tmp_path / 'cifar10_small'
  systems = candidates_report.read_systems(folder)
  assert list(systems) == ['naive', 'torch', 'ours', 'ours_second_run']
  assert systems['ours']['compilations'] > 0
  assert systems['ours_second_run']['compilations'] == 0
  assert candidates_report.report_text(systems) in done.stdout
  assert (folder / 'candidates.png').exists()
