"""Results wait on disk until their trials are recorded."""

import dataclasses
import pathlib

import pytest

from layernas.runs.evaluator import CandidateFiles
from layernas.search import Candidate
from layernas.search import Evaluation

_CANDIDATE = Candidate(3, 1, (1, 0, 1), 100, 7)


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
