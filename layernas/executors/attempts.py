"""Counts the attempts at candidates and says which get another one."""

import collections
import dataclasses

from layernas.executors.executor import Evaluated
from layernas.search.trial import Candidate
from layernas.search.trial import Evaluation
from layernas.search.trial import Status


class Attempts:
  """Attempts at the candidates under way."""

  def __init__(self, retries: int):
    """Begins with none.

    Args:
      retries: attempts at one candidate beyond the first.
    """
    self._retries = retries
    self._failed: collections.Counter[int] = collections.Counter()

  def again(self, candidate: Candidate, evaluated: Evaluated) -> bool:
    """Counts an attempt; whether there is to be another one."""
    failed = evaluated.evaluation.status is Status.FAILED
    self._failed[candidate.id] += failed
    return (
        failed and evaluated.retriable
        and self._failed[candidate.id] <= self._retries
    )

  def last(self, candidate: Candidate, evaluated: Evaluated) -> Evaluation:
    """The result that counts, once no attempt follows."""
    failed = self._failed.pop(candidate.id, 0)
    evaluation = evaluated.evaluation
    if evaluation.status is not Status.FAILED or failed < 2:
      return evaluation
    message = f'{evaluation.message} ({failed} attempts)'
    return dataclasses.replace(evaluation, message=message)


def lost(message: str, seconds: float = 0.0) -> Evaluated:
  """What an attempt comes to whose worker gave no result.

  Args:
    message: why there is none.
    seconds: that the attempt took.
  """
  return Evaluated(
      Evaluation(None, seconds, Status.FAILED, message), retriable=True
  )
