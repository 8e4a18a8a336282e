"""What an executor and its workers tell each other: lines of JSON.

To a worker: settings, train, prepare, stop, measure. From a worker: started,
ready, step, early, done, measured, preempted, error.
"""

import json
from collections.abc import Mapping
from typing import Any

from layernas.executors.executor import Evaluated
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Trial
from layernas.search.trial import trial_from_dict

Message = Mapping[str, Any]
"""JSON types, with 'kind'."""


def encode(kind: str, **values: Any) -> bytes:
  """A message as a line."""
  return json.dumps({'kind': kind, **values}).encode() + b'\n'


def decode(line: bytes) -> Message:
  """A line as a message."""
  return json.loads(line)


def candidate_to_json(candidate: Candidate) -> dict[str, Any]:
  """A candidate in JSON types."""
  return Trial(candidate, Evaluation(0.0)).to_dict()


def candidate_from_json(values: Mapping[str, Any]) -> Candidate:
  """Inverse of `candidate_to_json`."""
  return trial_from_dict(values).candidate


def evaluated_to_json(
    candidate: Candidate, evaluated: Evaluated
) -> dict[str, Any]:
  """A result in JSON types."""
  return {
      'trial': Trial(candidate, evaluated.evaluation).to_dict(),
      'seconds': dict(evaluated.seconds),
      'retriable': evaluated.retriable,
  }


def evaluated_from_json(values: Mapping[str, Any]) -> Evaluated:
  """Inverse of `evaluated_to_json`."""
  return Evaluated(
      trial_from_dict(values['trial']).evaluation, values['seconds'],
      values['retriable'],
  )
