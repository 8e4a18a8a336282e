"""Budgets, which end a search before its schedule does."""

import dataclasses
import math

from layernas.errors import UserError
from layernas.plain import is_number
from layernas.plain import plain
from layernas.search.trial import Trial


@dataclasses.dataclass(frozen=True)
class Remaining:
  """The remainder of a budget.

  Attributes:
    trials: evaluations that may still follow.
    seconds: seconds that may still be spent; below zero if the last evaluation
      overshot.
  """

  trials: float = math.inf
  seconds: float = math.inf


@dataclasses.dataclass
class Spent:
  """The part of a budget that finished evaluations have used.

  Attributes:
    seconds: their sum.
    failures: number of the latest evaluations that failed in a row.
    first_failure: message of the first of these.
  """

  seconds: float = 0.0
  failures: int = 0
  first_failure: str = ''

  def add(self, trial: Trial) -> None:
    """Counts a trial."""
    self.seconds += trial.evaluation.seconds
    if trial.failed and not self.failures:
      self.first_failure = trial.evaluation.message
    self.failures = self.failures + 1 if trial.failed else 0


@dataclasses.dataclass(frozen=True)
class Budget:
  """Limits of a search; the first one reached ends it.

  Attributes:
    trials: number of evaluations.
    seconds: sum of the evaluations' seconds; the last one may overshoot.
    failures: evaluations in a row that are not ok.
    reused: proposals in a row that earlier trials answered; ends the search of
      a strategy that has nothing new to propose and does not know it.
  """

  trials: float = math.inf
  seconds: float = math.inf
  failures: float = math.inf
  reused: float = 100_000

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      value = plain(getattr(self, field.name))
      object.__setattr__(self, field.name, value)
      if not is_number(value) or not value > 0:
        raise UserError(
            f'budget.{field.name}: {value!r}: allowed are numbers above zero'
        )

  def remaining(self, trials: int, seconds: float) -> Remaining:
    """The remaining budget.

    Args:
      trials: finished evaluations.
      seconds: sum over them.

    Returns:
      Trials and seconds, infinite if the budget does not limit them.
    """
    return Remaining(self.trials - trials, self.seconds - seconds)

  def spent(self, trials: int, spent: Spent) -> str:
    """The reason to stop, or '' to go on.

    Args:
      trials: evaluations handed out.
      spent: what the finished ones used.

    Returns:
      The reason as text.
    """
    if spent.failures >= self.failures:
      cause = f', the first: {spent.first_failure}' if (
          spent.first_failure
      ) else ''
      return f'{spent.failures} trials in a row failed{cause}'
    if trials >= self.trials:
      return f'budget of {self.trials:,} trials spent'
    if spent.seconds >= self.seconds:
      return f'budget of {self.seconds:,.12g} seconds spent'
    return ''
