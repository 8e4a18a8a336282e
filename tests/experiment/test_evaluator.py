"""Candidates become evaluations."""

import dataclasses
import json
import pathlib

import pytest

from layernas.data.registry import load_dataset
from layernas.experiment import evaluator
from layernas.experiment.evaluator import TrainingEvaluator
from layernas.search import Candidate
from layernas.search import Status
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
  evaluation = TrainingEvaluator(
      config, tiny.space(), dataset, tmp_path, lambda *values: None
  )(_CANDIDATE).evaluation
  assert evaluation.status is Status.NAN
  assert 'step' in evaluation.message


def test_a_finished_candidate_is_not_trained_again(
    tmp_path: pathlib.Path, dataset: object, monkeypatch: pytest.MonkeyPatch
) -> None:
  evaluate = TrainingEvaluator(
      tiny.get_config(), tiny.space(), dataset, tmp_path, lambda *values: None
  )
  first = evaluate(_CANDIDATE)
  assert (tmp_path / 'candidates' / '000003' / 'checkpoints').exists()

  def forbidden(*args: object, **kwargs: object) -> None:
    raise RuntimeError('trained')

  monkeypatch.setattr(evaluator, 'train_and_evaluate', forbidden)
  assert evaluate(_CANDIDATE).evaluation == first.evaluation
  other = dataclasses.replace(_CANDIDATE, seed=8)
  assert evaluate(other).evaluation.message == 'RuntimeError: trained'


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
  evaluated = TrainingEvaluator(
      tiny.get_config(), tiny.space(), dataset, tmp_path, lambda *values: None
  )(_CANDIDATE)
  assert evaluated.evaluation.status is Status.FAILED
  assert evaluated.retriable is retriable


def test_a_worker_makes_its_evaluator_from_json(tmp_path: pathlib.Path) -> None:
  settings = {'config': tiny.get_config().to_dict(), 'workdir': str(tmp_path)}
  settings = json.loads(json.dumps(settings))
  with evaluator.worker_evaluator(settings, lambda *values: None) as evaluate:
    assert evaluate(_CANDIDATE).evaluation.status is Status.OK
