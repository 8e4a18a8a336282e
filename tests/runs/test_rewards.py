"""Rewards by name, and of the user's own."""

import json
import math
import pathlib

import numpy as np
import pytest

from layernas.errors import UserError
from layernas.runs import evaluator
from layernas.runs.rewards import Reward
from layernas.runs.rewards import configured_reward
from layernas.runs.run_search import run_search
from layernas.search import Trial
from layernas.storage.history import recorded_trials
from layernas.training.train import TrainResult
from tests import tiny

_METRICS = {
    'accuracy': 0.5, 'top5': 0.75, 'loss': 1.25, 'train_loss': 1.0,
    'train_accuracy': 0.5,
}
_HERE = 'tests.runs.test_rewards'


def less_overfitted(metrics):
  """A reward of a user's own: accuracy, less what is only learnt by heart."""
  return metrics['accuracy'] - abs(
      metrics['train_accuracy'] - metrics['accuracy']
  )


@pytest.mark.parametrize(('name', 'value'), [
    ('accuracy', 0.5), ('top5', 0.75), ('loss', -1.25),
    (f'{_HERE}:less_overfitted', 0.5),
])
def test_larger_is_better(name: str, value: float) -> None:
  assert configured_reward(tiny.changed(reward=name))(_METRICS) == value


@pytest.mark.parametrize('wrong', [None, 'good', True, [0.5], 1j])
def test_what_is_no_number_is_refused(wrong: object) -> None:
  with pytest.raises(UserError, match=r"reward: 'own' returned .*; allowed is"):
    Reward('own', lambda metrics: wrong)(_METRICS)


def test_numbers_of_numpy_are_numbers() -> None:
  assert Reward('own', lambda metrics: np.float32(0.5))(_METRICS) == 0.5


def not_finite(metrics):
  return math.nan


def no_number(metrics):
  return str(metrics['accuracy'])


def _searched(
    workdir: pathlib.Path, name: str
) -> tuple[dict[str, object], list[Trial]]:
  result = run_search(
      tiny.changed(reward=name, compile_ahead=0, **{'budget.trials': 2}),
      workdir,
  )
  return result, recorded_trials(workdir)


@pytest.mark.long
def test_a_search_with_a_reward_of_your_own(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
  name = f'{_HERE}:less_overfitted'
  result, trials = _searched(tmp_path, name)
  for trial in trials:
    evaluation = trial.evaluation
    assert evaluation.reward == less_overfitted(evaluation.metrics)
    assert evaluation.reward != evaluation.metrics['accuracy']
  best = max(trial.evaluation.reward for trial in trials)
  assert result['winner']['reward'] == best
  assert f'reward ({name})' in ' '.join(capsys.readouterr().out.split())
  assert json.loads((tmp_path / 'config.json').read_text())['reward'] == name


@pytest.fixture(name='_made_up')
def _made_up(monkeypatch: pytest.MonkeyPatch) -> None:
  """Trainings of no time."""
  monkeypatch.setattr(
      evaluator, 'train_and_evaluate',
      lambda *args, **named: TrainResult(_METRICS, 10, 1.0),
  )


@pytest.mark.usefixtures('_made_up')
@pytest.mark.parametrize(('name', 'status', 'reward'), [
    ('loss', 'ok', -1.25), (f'{_HERE}:not_finite', 'nan', None),
])
def test_what_becomes_of_trials(
    tmp_path: pathlib.Path, name: str, status: str, reward: float | None
) -> None:
  result, trials = _searched(tmp_path, name)
  assert result['trials'] == {status: 2}
  assert {trial.evaluation.reward for trial in trials} == {reward}


@pytest.mark.usefixtures('_made_up')
def test_a_reward_that_is_no_number_ends_the_search(
    tmp_path: pathlib.Path
) -> None:
  with pytest.raises(UserError, match=r"no_number' returned '0\.5'"):
    _searched(tmp_path, f'{_HERE}:no_number')
  assert not (tmp_path / 'result.json').exists()
