"""Candidates become evaluations, which wait on disk for their trials."""

import dataclasses
import errno
import json
import pathlib
import signal
from collections.abc import Mapping

import jax
import pytest

from layernas.data.registry import load_dataset
from layernas.errors import Preempted
from layernas.errors import UserError
from layernas.runs import evaluator
from layernas.runs.evaluator import CandidateFiles
from layernas.runs.evaluator import TrainingEvaluator
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Status
from layernas.search.early_stop import MESSAGE
from layernas.storage.storage_errors import StorageError
from layernas.training.train import NonFiniteLossError
from layernas.training.train import TrainResult
from tests import tiny

_CANDIDATE = Candidate(3, 1, (1, 0, 1), 100, 7)


@pytest.fixture(scope='module')
def dataset() -> object:
  """The embedded images at 16 pixels."""
  return load_dataset(tiny.get_config().data)


def _evaluator(
    dataset: object, workdir: pathlib.Path, config: object = None,
    **named: object,
) -> TrainingEvaluator:
  return TrainingEvaluator(
      config or tiny.get_config(), tiny.space(), dataset, workdir,
      lambda *values: None, **named,
  )


def test_reward_is_validation_accuracy_and_reproducible(
    tmp_path: pathlib.Path, dataset: object
) -> None:
  logged = []

  def evaluate(workdir: pathlib.Path) -> object:
    return TrainingEvaluator(
        tiny.get_config(), tiny.space(), dataset, workdir,
        lambda *values: logged.append(values),
    )(_CANDIDATE).evaluation

  first, second = evaluate(tmp_path / 'a'), evaluate(tmp_path / 'b')
  assert first.status is Status.OK
  assert first.reward == first.metrics['accuracy'] == second.reward
  assert first.metrics == second.metrics
  assert [(values[0], values[1]) for values in logged[:4]] == [
      (_CANDIDATE, step) for step in (5, 10, 15, 20)
  ]


def test_diverging_candidate_is_nan(
    tmp_path: pathlib.Path, dataset: object
) -> None:
  config = tiny.get_config()
  config.training.learning_rate = 1e30
  evaluation = _evaluator(dataset, tmp_path, config)(_CANDIDATE).evaluation
  assert evaluation.status is Status.NAN
  assert 'step' in evaluation.message


def test_a_finished_candidate_is_not_trained_again(
    tmp_path: pathlib.Path, dataset: object, monkeypatch: pytest.MonkeyPatch
) -> None:
  evaluate = _evaluator(dataset, tmp_path)
  first = evaluate(_CANDIDATE)
  assert (tmp_path / 'candidates' / '000003' / 'checkpoints').exists()

  def forbidden(*args: object, **kwargs: object) -> None:
    raise RuntimeError('trained')

  monkeypatch.setattr(evaluator, 'train_and_evaluate', forbidden)
  assert evaluate(_CANDIDATE).evaluation == first.evaluation
  other = dataclasses.replace(_CANDIDATE, seed=8)
  assert evaluate(other).evaluation.message == 'RuntimeError: trained'


def test_a_signal_behind_the_last_step_is_not_lost(
    tmp_path: pathlib.Path, dataset: object, monkeypatch: pytest.MonkeyPatch
) -> None:
  evaluate = _evaluator(dataset, tmp_path, alone=True)

  def preempted(*args: object, **kwargs: object) -> TrainResult:
    signal.raise_signal(signal.SIGTERM)
    return TrainResult({'accuracy': 0.5}, 1, 1.0)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', preempted)
  with pytest.raises(Preempted):
    evaluate(_CANDIDATE)
  # Whoever goes on finds the result.
  assert evaluate(_CANDIDATE).evaluation.reward == 0.5


@pytest.mark.parametrize(('error', 'retriable'), [
    (RuntimeError('RESOURCE_EXHAUSTED: out of memory'), True),
    (OSError('no space left on device'), True),
    (TypeError('of a mistake'), False),
])
def test_what_another_attempt_may_heal(
    tmp_path: pathlib.Path, dataset: object, monkeypatch: pytest.MonkeyPatch,
    error: Exception, retriable: bool,
) -> None:
  def broken(*args: object, **kwargs: object) -> None:
    raise error

  monkeypatch.setattr(evaluator, 'train_and_evaluate', broken)
  evaluated = _evaluator(dataset, tmp_path)(_CANDIDATE)
  assert evaluated.evaluation.status is Status.FAILED
  assert evaluated.retriable is retriable


@pytest.mark.parametrize('broken', ['training', 'result'])
def test_a_full_disk_is_no_failure_of_the_candidate(
    tmp_path: pathlib.Path, dataset: object, monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
  def full(*args: object, **kwargs: object) -> None:
    raise OSError(errno.ENOSPC, 'No space left on device')

  if broken == 'training':
    monkeypatch.setattr(evaluator, 'train_and_evaluate', full)
  else:
    monkeypatch.setattr(
        evaluator, 'train_and_evaluate',
        lambda *args, **kwargs: TrainResult({'accuracy': 0.5}, 1, 1.0),
    )
    monkeypatch.setattr(CandidateFiles, 'finish', full)
  evaluate = _evaluator(dataset, tmp_path)
  with pytest.raises(StorageError, match=f'{tmp_path}: No space'):
    evaluate(_CANDIDATE)
  assert not (tmp_path / 'failures').exists()


@pytest.mark.long
def test_a_worker_makes_its_evaluator_from_json(tmp_path: pathlib.Path) -> None:
  settings = {'config': tiny.get_config().to_dict(), 'workdir': str(tmp_path)}
  settings = json.loads(json.dumps(settings))
  with evaluator.worker_evaluator(settings, lambda *values: None) as evaluate:
    assert evaluate(_CANDIDATE).evaluation.status is Status.OK


def test_a_worker_checks_the_config_against_its_own_devices(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
  """The driver of workers on accelerators computes on the CPU."""
  config = tiny.get_config()
  config.model.depthwise = 'compiled'
  settings = {'config': config.to_dict(), 'workdir': str(tmp_path)}
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  message = "^model.depthwise: 'compiled': a CPU is needed, not tpu; allowed"
  with pytest.raises(UserError, match=message):
    evaluator.worker_evaluator(settings, lambda *values: None)


def _early(
    workdir: pathlib.Path, dataset: object, reward: str = 'accuracy'
) -> TrainingEvaluator:
  config = tiny.get_config()
  config.reward = reward
  config.early_stop.fraction = 0.5
  return _evaluator(dataset, workdir, config)


@pytest.mark.long
def test_a_hopeless_candidate_is_stopped(
    tmp_path: pathlib.Path, dataset: object
) -> None:
  asked = []

  def hopeless(reward: float) -> bool:
    asked.append(reward)
    return stops

  # Without anybody to ask it is evaluated early all the same.
  alone = _early(tmp_path / 'a', dataset)(_CANDIDATE).evaluation
  stops = False
  trained = _early(tmp_path / 'b', dataset)(_CANDIDATE, hopeless).evaluation
  # It is asked again after every later step.
  assert len(asked) > 1
  stops = True
  stopped = _early(tmp_path / 'c', dataset)(_CANDIDATE, hopeless).evaluation
  assert (alone.status, trained.status) == (Status.OK, Status.OK)
  assert alone.reward == trained.reward
  assert set(asked) == {alone.early_reward} == {stopped.early_reward}
  assert (stopped.status, stopped.message) == (Status.STOPPED, MESSAGE)
  assert stopped.metrics == {}


def _overfitting(metrics: Mapping[str, float]) -> float:
  """Needs metrics of the validation and of the training images."""
  return metrics['train_loss'] - metrics['loss']


@pytest.mark.parametrize(('reward', 'low', 'high'), [
    # Of ten classes, hardly trained.
    ('accuracy', 0.0, 0.5), ('top5', 0.2, 0.95), ('loss', -4.0, -1.0),
    (f'{__name__}:_overfitting', -1.0, 1.0),
])
def test_the_early_reward_is_that_of_the_config(
    reward: str, low: float, high: float, tmp_path: pathlib.Path,
    dataset: object,
) -> None:
  asked = []

  def hopeless(early: float) -> bool:
    asked.append(early)
    return True

  early = _early(tmp_path, dataset, reward)
  assert early(_CANDIDATE, hopeless).evaluation.status is Status.STOPPED
  assert low < asked[0] < high


def test_what_fails_behind_its_early_point_has_an_early_reward(
    tmp_path: pathlib.Path, dataset: object, monkeypatch: pytest.MonkeyPatch
) -> None:
  errors = iter([NonFiniteLossError('loss is nan'), RuntimeError('broken')])

  def diverging(*args: object, early: object, **kwargs: object) -> None:
    assert early.fraction == 0.5
    early.hopeless(0.25)
    raise next(errors)

  monkeypatch.setattr(evaluator, 'train_and_evaluate', diverging)
  found = [
      _early(tmp_path / name, dataset)(_CANDIDATE).evaluation for name in 'ab'
  ]
  assert [str(one.status) for one in found] == ['nan', 'failed']
  assert [one.early_reward for one in found] == [0.25, 0.25]


@pytest.mark.long
def test_forgetting_what_was_traced_changes_nothing(
    tmp_path: pathlib.Path, dataset: object, monkeypatch: pytest.MonkeyPatch
) -> None:
  kept = _evaluator(dataset, tmp_path / 'a')
  cleared = []
  clear = evaluator.jax.clear_caches
  monkeypatch.setattr(
      evaluator.jax, 'clear_caches', lambda: cleared.append(clear())
  )
  monkeypatch.setattr(evaluator, '_FORGET_EVERY', 1)
  evaluate = _evaluator(dataset, tmp_path / 'b')
  other = dataclasses.replace(_CANDIDATE, id=4)
  # The other one's programs, compiled before, are still there afterwards.
  evaluate.prepare([_CANDIDATE.architecture, other.architecture])
  found = [evaluate(one).evaluation.reward for one in (_CANDIDATE, other)]
  assert len(cleared) == 2
  assert found == [kept(_CANDIDATE).evaluation.reward] * 2


def test_a_result_is_that_of_the_very_candidate(tmp_path: pathlib.Path) -> None:
  files = CandidateFiles(tmp_path)
  assert files.finished(_CANDIDATE) is None
  evaluation = Evaluation(0.1 + 0.2, 1.5, metrics={'loss': 1 / 3})
  files.finish(_CANDIDATE, evaluation)
  assert CandidateFiles(tmp_path).finished(_CANDIDATE) == evaluation
  other = dataclasses.replace(_CANDIDATE, architecture=(1, 1, 1))
  assert files.finished(other) is None


@pytest.mark.parametrize('damage', ['', '{"id": 3', '[]', '{"id": 3}'])
def test_a_damaged_result_is_none(tmp_path: pathlib.Path, damage: str) -> None:
  files = CandidateFiles(tmp_path)
  files.finish(_CANDIDATE, Evaluation(1.0))
  (files.directory(_CANDIDATE) / 'result.json').write_text(damage)
  assert files.finished(_CANDIDATE) is None


def test_clean_removes_the_candidate_alone(tmp_path: pathlib.Path) -> None:
  files = CandidateFiles(tmp_path)
  other = dataclasses.replace(_CANDIDATE, id=4)
  for one in (_CANDIDATE, other):
    files.finish(one, Evaluation(1.0))
  files.clean(_CANDIDATE)
  assert not files.directory(_CANDIDATE).exists()
  assert files.finished(other) == Evaluation(1.0)
  files.clean(_CANDIDATE)


def test_a_failure_leaves_its_traceback(tmp_path: pathlib.Path) -> None:
  try:
    raise RuntimeError('here')
  except RuntimeError:
    CandidateFiles(tmp_path).write_failure(_CANDIDATE)
  assert 'here' in (tmp_path / 'failures' / '000003.txt').read_text()
