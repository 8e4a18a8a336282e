"""Early stop (ours) of candidates that are hopeless at an early point.

A network that is worse than another one half-way through its training is mostly
worse at the end. A candidate that is worse by a margin than every entry of its
bucket at the same point will hardly be kept, so it is stopped.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from layernas.errors import UserError
from layernas.plain import is_number
from layernas.plain import plain
from layernas.search.strategy import Strategy
from layernas.search.trial import Evaluation
from layernas.search.trial import Status

MESSAGE = 'early on worse than the entries of its bucket'
"""Message of every stopped trial, whoever noticed it and when."""


@dataclasses.dataclass(frozen=True)
class EarlyStop:
  """A rule that decides when a candidate is hopeless.

  Attributes:
    margin: margin by which its early reward must be below that of the worst
      entry.
  """

  margin: float = 0.0

  def __post_init__(self) -> None:
    if not is_number(plain(self.margin)) or not 0 <= self.margin < math.inf:
      raise UserError(
          f'early_stop.margin: {self.margin!r}: allowed are numbers of zero or'
          ' more'
      )

  def hopeless(
      self, early_reward: float, rivals: Sequence[float | None]
  ) -> bool:
    """Whether a candidate is worse than all its rivals by the margin.

    Args:
      early_reward: early reward of the candidate.
      rivals: early rewards of the trials of which it must beat one, at least
        one; an unknown one is None and stops no candidate.

    Returns:
      Whether to stop it.
    """
    known = [reward for reward in rivals if reward is not None]
    return len(known) == len(rivals) and early_reward < min(known) - self.margin


def stopped(evaluation: Evaluation) -> Evaluation:
  """The evaluation of a candidate that was stopped.

  Args:
    evaluation: its evaluation up to its early point or to its end.

  Returns:
    An evaluation that does not depend on what followed the early point, apart
    from the seconds.
  """
  return Evaluation(
      None, evaluation.seconds, Status.STOPPED, MESSAGE,
      early_reward=evaluation.early_reward,
  )


def configured_early_stop(section: Any, strategy: Strategy) -> EarlyStop | None:
  """The rule that a config section describes.

  Args:
    section: `early_stop` of configs/default.py.
    strategy: strategy of the search.

  Returns:
    The rule, or None if `fraction` is 0.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  if not 0 <= section.fraction < 1:
    raise UserError(
        f'early_stop.fraction: {section.fraction!r}: allowed are 0 <= x < 1'
    )
  settings = EarlyStop(section.margin)
  if not section.fraction:
    return None
  if strategy.proposer.passes is None:
    raise UserError(
        f'early_stop.fraction: {section.fraction!r}: allowed is 0 where no'
        ' layer table holds trained networks; above 0 with a layerwise'
        " search.schedule, such as 'sweep'"
    )
  return settings
