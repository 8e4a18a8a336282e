"""Candidates become evaluations; their checkpoints go when recorded."""

import pathlib

import pytest

from layernas.data.registry import load_dataset
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
