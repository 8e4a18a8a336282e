"""Workdirs that older versions left go on: no search is lost by an upgrade.

`stored/` has the same tiny search, ended in its second training, as versions
wrote it: before_redesign (its config lacks reward, profile and the settings
sections), redesign (no inputs.json, checkpoints with a fingerprint alone),
inputs (both recorded). A change of what is written gets one more.
"""

import json
import pathlib
import tarfile

import pytest

from layernas.errors import UserError
from layernas.reports.hooks import Hook
from layernas.runs import evaluator
from layernas.runs.run_search import run_search
from layernas.training.train import TrainResult
from tests import programs
from tests import tiny

_STORED = sorted((tiny.ROOT / 'tests' / 'runs' / 'stored').glob('*.tar.xz'))


@pytest.fixture(name='older', params=_STORED, ids=lambda path: path.stem)
def _older(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> pathlib.Path:
  """A stored workdir."""
  with tarfile.open(request.param) as archive:
    archive.extractall(tmp_path / 'older', filter='data')
  return tmp_path / 'older'


@pytest.fixture(name='_trained')
def _without_training(monkeypatch: pytest.MonkeyPatch) -> None:
  monkeypatch.setattr(
      evaluator, 'train_and_evaluate',
      lambda job, *args, **named: TrainResult(
          {'accuracy': job.seed % 89 / 100}, 10, 1.0
      ),
  )


def _config(**changes: object):
  return tiny.changed(compile_ahead=0, **{'budget.trials': 3, **changes})


def _trials(workdir: pathlib.Path) -> list[dict[str, object]]:
  lines = (workdir / 'trials.jsonl').read_text().splitlines()
  return list(map(json.loads, lines))


@pytest.mark.usefixtures('_trained')
def test_an_older_search_goes_on(
    older: pathlib.Path, tmp_path: pathlib.Path
) -> None:
  recorded = _trials(older)
  run_search(_config(), older)
  run_search(_config(), tmp_path / 'whole')
  trials, whole = _trials(older), _trials(tmp_path / 'whole')
  assert trials[:1] == recorded
  assert trials[1:] == whole[1:]
  # It is one of this version now.
  config = json.loads((older / 'config.json').read_text())
  assert config == json.loads(json.dumps(_config().to_dict()))


@pytest.mark.parametrize(('changes', 'was'), [
    ({'reward': 'loss'}, "reward was 'accuracy' and is 'loss'"),
    ({'model.dropout': 0.5}, r'model\.dropout was 0\.0 and is 0\.5'),
])
def test_absent_fields_count_as_their_defaults(
    older: pathlib.Path, changes: dict[str, object], was: str
) -> None:
  before = {path: path.read_bytes() for path in older.glob('*.json*')}
  with pytest.raises(UserError, match=was):
    run_search(_config(**changes), older)
  assert {path: path.read_bytes() for path in older.glob('*.json*')} == before


class _Steps(Hook):
  """Notes the logged steps of the second candidate."""

  def __init__(self):
    self.steps = []

  def after_step(self, training, step, metrics):
    del metrics
    if training.candidate.id == 1:
      self.steps.append(step)


@pytest.mark.long
def test_an_older_training_goes_on(
    older: pathlib.Path, finished: pathlib.Path
) -> None:
  """From its checkpoint, and to the reward of one that was not interrupted."""
  hook = _Steps()
  # What changes nothing may differ.
  run_search(
      _config(**{
          'raise_failures': True, 'executor.retries': 0, 'final.epochs': 3.0,
          'training.checkpoint_every_steps': 7,
      }),
      older, [hook],
  )
  assert min(hook.steps) == 10
  trials, whole = _trials(older), _trials(finished)[:3]
  for name in ('id', 'architecture', 'seed', 'cost', 'status'):
    assert [one[name] for one in trials] == [one[name] for one in whole]
  # Another machine than that of the stored workdir rounds otherwise.
  assert [one['reward'] for one in trials] == pytest.approx(
      [one['reward'] for one in whole], abs=0.05
  )


@pytest.mark.long
@pytest.mark.usefixtures('_trained')
def test_a_finished_search_goes_on_with_a_larger_budget(
    tmp_path: pathlib.Path
) -> None:
  whole = run_search(_config(**{'budget.trials': 5}), tmp_path / 'whole')
  first = run_search(_config(**{'budget.trials': 2}), tmp_path / 'run')
  assert first['stop_reason'] == 'budget of 2 trials spent'
  assert run_search(
      _config(**{'budget.trials': 5}), tmp_path / 'run'
  )['winner'] == whole['winner']
  assert _trials(tmp_path / 'run') == _trials(tmp_path / 'whole')


def test_config_of_an_older_result(tmp_path: pathlib.Path) -> None:
  """`train` takes the fields that it lacks from the defaults."""
  found = tiny.result_file(tmp_path)
  result = json.loads(found.read_text())
  del result['config']['search']['visit']['select'], result['config']['profile']
  # Shows that the recorded ones count: the first is answered before training.
  result['config']['reference']['seeds'] = 0
  found.write_text(json.dumps(result))
  done = programs.run('train', f'--architecture={found}')
  assert done.returncode == 2
  assert 'reference.seeds: 0' in done.stderr
