"""One candidate alone gives what the search gave it, to the bit."""

import json
import pathlib
import shutil

import pytest

from layernas.errors import TrialError
from layernas.errors import UserError
from layernas.runs import evaluator
from layernas.runs import one_candidate
from layernas.runs.run_search import run_search
from layernas.search import Trial
from layernas.storage.history import recorded_trials
from layernas.training.train import NonFiniteLossError
from tests import programs
from tests import tiny
from tools.perf.search_outcome import without_times


def _same(one: Trial, another: Trial) -> bool:
  """All but the seconds."""
  return (
      one.candidate.architecture == another.candidate.architecture
      and one.evaluation.reward == another.evaluation.reward
      and one.evaluation.metrics == another.evaluation.metrics
  )


@pytest.mark.long
def test_trial_and_options_give_the_recorded_reward(
    finished: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
  before = without_times(finished)
  recorded = recorded_trials(finished)[3]
  found = one_candidate.run_candidate(
      tiny.get_config(), finished, one_candidate.asked_trial(finished, 3)
  )
  assert _same(found, recorded)
  assert found.candidate == recorded.candidate
  printed = capsys.readouterr().out
  assert f'{recorded.evaluation.reward!r}, equal' in printed
  asked = one_candidate.asked_options('1-1-0', recorded.candidate.seed)
  again = one_candidate.run_candidate(tiny.get_config(), finished, asked)
  assert _same(again, recorded)
  assert 'recorded reward' not in capsys.readouterr().out
  assert again.candidate.cost == recorded.candidate.cost
  # The search knows nothing of it.
  assert without_times(finished) == before
  assert not list((finished / 'candidates').iterdir())
  assert {path.name for path in (finished / 'debug').iterdir()} == {
      'trial000003', f'1-1-0_seed{recorded.candidate.seed}'
  }
  files = finished / 'debug' / 'trial000003'
  # The same command trains anew.
  assert not list((files / 'candidates').iterdir())
  assert list((files / 'tensorboard' / 'trials' / '000003').iterdir())
  assert json.loads((files / 'trial.json').read_text()) == found.to_dict()
  shutil.rmtree(finished / 'debug')


@pytest.mark.long
def test_the_program_trains_a_trial(finished: pathlib.Path) -> None:
  done = programs.run(
      'train', '--trial=2', f'--workdir={finished}', '--recipe=training'
  )
  assert done.returncode == 0, done.stderr
  recorded = recorded_trials(finished)[2]
  words = ' '.join(done.stdout.split())
  assert f'recorded reward {recorded.evaluation.reward!r}, equal' in words
  shutil.rmtree(finished / 'debug')


@pytest.mark.long
def test_a_worker_trains_as_the_search_s_workers_did(
    tmp_path: pathlib.Path
) -> None:
  config = tiny.changed(compile_ahead=0, **{
      'executor.name': 'processes', 'executor.workers': 1, 'budget.trials': 1,
  })
  run_search(config, tmp_path)
  [recorded] = recorded_trials(tmp_path)
  asked = one_candidate.asked_trial(tmp_path, 0)
  assert _same(one_candidate.run_candidate(config, tmp_path, asked), recorded)
  assert len(recorded_trials(tmp_path)) == 1


@pytest.mark.long
def test_a_candidate_that_fails_shows_its_traceback(
    tmp_path: pathlib.Path
) -> None:
  done = programs.run(
      'train', '--architecture=0-1-0', '--seed=3', '--config=tests/tiny.py',
      '--config.training.learning_rate=1e30', f'--workdir={tmp_path}',
  )
  assert done.returncode == 1
  assert 'seed 3' in done.stderr
  assert 'Traceback (most recent call last)' in done.stderr
  assert 'NonFiniteLossError: loss is' in done.stderr
  assert not (tmp_path / 'debug/0-1-0_seed3/trial.json').exists()


@pytest.mark.long
def test_a_trial_that_failed_is_trained_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:

  def diverges(*args: object, **named: object) -> None:
    raise NonFiniteLossError('loss is nan at step 5')

  monkeypatch.setattr(evaluator, 'train_and_evaluate', diverges)
  config = tiny.changed(compile_ahead=0, **{'budget.trials': 1})
  assert run_search(config, tmp_path)['trials'] == {'nan': 1}
  asked = one_candidate.asked_trial(tmp_path, 0)
  with pytest.raises(TrialError, match='NonFiniteLossError'):
    one_candidate.run_candidate(config, tmp_path, asked)


def test_trials_that_do_not_exist(finished: pathlib.Path) -> None:
  with pytest.raises(UserError, match=r'flag --trial: 6: allowed .*0 to 5'):
    one_candidate.asked_trial(finished, 6)
