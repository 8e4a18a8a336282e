"""Workers as the pool sees them: where they run and what is said to them.

A pool and its workers tell each other lines of JSON, each with a 'kind'. To a
worker go settings, train, prepare, stop and measure; from a worker come
started, ready, step, early, done, measured, preempted and error.
"""

import abc
import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Self

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
      'traceback': evaluated.traceback,
  }


def evaluated_from_json(values: Mapping[str, Any]) -> Evaluated:
  """Inverse of `evaluated_to_json`."""
  return Evaluated(
      trial_from_dict(values['trial']).evaluation, values['seconds'],
      values['retriable'], values['traceback'],
  )


class Connection(abc.ABC):
  """A worker as the pool sees it."""

  name: str

  @abc.abstractmethod
  def send(self, kind: str, **values: Any) -> None:
    """Sends a message; one to a worker that is gone is lost."""

  @abc.abstractmethod
  def receive(self) -> Sequence[Message]:
    """Messages that have come; does not wait."""

  @property
  @abc.abstractmethod
  def ended(self) -> str:
    """Why it has ended; '' while it lives. Known once `receive` found it."""

  @abc.abstractmethod
  def terminate(self) -> None:
    """Asks it to save and end."""

  @abc.abstractmethod
  def kill(self) -> None:
    """Ends it now."""

  @abc.abstractmethod
  def close(self, seconds: float) -> None:
    """Waits so long for its end, then kills it; frees what it took."""


class Backend(abc.ABC):
  """Where workers run; a context."""

  @property
  def page(self) -> str:
    """Address of a page that shows the workers; '' where there is none."""
    return ''

  @abc.abstractmethod
  def wanted(self) -> int:
    """How many workers can run now.

    Raises:
      UserError: the machine or cluster lacks what the settings want.
    """

  @abc.abstractmethod
  def start(self, index: int) -> Connection:
    """Starts a worker.

    Args:
      index: of the worker, 0 <= index < wanted().
    """

  @abc.abstractmethod
  def wait(self, connections: Sequence[Connection], seconds: float) -> None:
    """Waits until one has sent something or ended, at most so long."""

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: object) -> None:  # noqa: B027
    """Gives back what it took."""
