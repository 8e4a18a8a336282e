"""Candidates become evaluations; their checkpoints go when recorded."""

import pathlib

import pytest

from layernas.data.registry import load_dataset
from layernas.experiment import evaluator as evaluator_module
from layernas.experiment.evaluator import TrainingEvaluator
from layernas.search import Candidate
from layernas.search import Status
from layernas.search.early_stop import MESSAGE
from layernas.training.train import NonFiniteLossError
from tests import tiny

_CANDIDATE = Candidate(3, 1, (1, 0, 1), 100, 7)


@pytest.fixture(scope='module')
def dataset() -> object:
  """The embedded images at 16 pixels."""
  return load_dataset(tiny.get_config().data)


def test_reward_is_validation_accuracy_and_reproducible(
    tmp_path: pathlib.Path, dataset: object
) -> None:
  logged = []

  def evaluate(workdir: pathlib.Path) -> object:
    return TrainingEvaluator(
        tiny.get_config(), tiny.space(), dataset, workdir,
        lambda *values: logged.append(values),
    )(_CANDIDATE)

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
  evaluation = TrainingEvaluator(
      config, tiny.space(), dataset, tmp_path, lambda *values: None
  )(_CANDIDATE)
  assert evaluation.status is Status.NAN
  assert 'step' in evaluation.message


def test_clean_removes_the_candidate(
    tmp_path: pathlib.Path, dataset: object
) -> None:
  evaluate = TrainingEvaluator(
      tiny.get_config(), tiny.space(), dataset, tmp_path, lambda *values: None
  )
  evaluate(_CANDIDATE)
  assert (tmp_path / 'candidates' / '000003' / 'checkpoints').exists()
  evaluate.clean(_CANDIDATE)
  assert not (tmp_path / 'candidates' / '000003').exists()


def _early(workdir: pathlib.Path, dataset: object) -> TrainingEvaluator:
  config = tiny.get_config()
  config.early_stop.fraction = 0.5
  return TrainingEvaluator(
      config, tiny.space(), dataset, workdir, lambda *values: None
  )


def test_a_hopeless_candidate_is_stopped(
    tmp_path: pathlib.Path, dataset: object
) -> None:
  asked = []

  def hopeless(reward: float) -> bool:
    asked.append(reward)
    return len(asked) > 1

  # Without anybody to ask it is evaluated early all the same.
  alone = _early(tmp_path / 'a', dataset)(_CANDIDATE)
  trained = _early(tmp_path / 'b', dataset)(_CANDIDATE, hopeless=hopeless)
  stopped = _early(tmp_path / 'c', dataset)(_CANDIDATE, hopeless=hopeless)
  assert (alone.status, trained.status) == (Status.OK, Status.OK)
  assert alone.reward == trained.reward
  assert asked == [alone.early_reward] * 2 == [stopped.early_reward] * 2
  assert (stopped.status, stopped.message) == (Status.STOPPED, MESSAGE)
  assert stopped.metrics == {}


def test_what_fails_behind_its_early_point_has_an_early_reward(
    tmp_path: pathlib.Path, dataset: object, monkeypatch: pytest.MonkeyPatch
) -> None:
  errors = iter([NonFiniteLossError('loss is nan'), RuntimeError('broken')])

  def diverging(*args: object, early: object, **kwargs: object) -> None:
    assert early.fraction == 0.5
    early.hopeless(0.25)
    raise next(errors)

  monkeypatch.setattr(evaluator_module, 'train_and_evaluate', diverging)
  evaluate = _early(tmp_path, dataset)
  found = [evaluate(_CANDIDATE) for _ in range(2)]
  assert [str(one.status) for one in found] == ['nan', 'failed']
  assert [one.early_reward for one in found] == [0.25, 0.25]
