"""A benchmark: what is searched for in a table, by which signal and limit."""

import dataclasses
import functools
import math

import numpy as np

from layernas.errors import UserError
from layernas.search import Architecture
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.search import Problem
from layernas.search import Status
from layernas.search.budget import Budget
from layernas.search.problem import TargetInterval
from layernas.study.tables.table import Column
from layernas.study.tables.table import Survey
from layernas.study.tables.table import Table

HELD_OUT = 'held_out'
"""Report: the training of the answer that no method has seen."""


DIRECTIONS = {'maximise': 1, 'minimise': -1}
"""What is looked for, and the factor that makes larger figures better."""


@dataclasses.dataclass(frozen=True, eq=False)
class Benchmark:
  """A search problem with its protocol.

  Attributes:
    name: for messages and reports.
    table: figures of architectures.
    rewards: columns of the signal. One: every query gives its figure. Several
      are independent trainings, taken in turn by the queries of an
      architecture, from one that the seed of the run picks.
    report: column of the figure that the answer is judged by, or `HELD_OUT`:
      the last of `rewards` in that rotation, which no query gives.
    cost: column that is limited and grouped by.
    target: costs that the answer may have.
    seconds: column of the seconds that a query is charged, or '' for none.
    budget: limits of a run.
    noise: standard deviation of a normal error of every query's reward.
    failing: share of the queries that fail.
    direction: of the signal, one of `DIRECTIONS`. What is minimised is negated
      where it is read: strategies always maximise.
    report_direction: of the report column; '' as that of the signal.
  """

  name: str
  table: Table
  rewards: tuple[str, ...]
  report: str
  cost: str
  target: TargetInterval = TargetInterval()
  seconds: str = ''
  budget: Budget = Budget()
  noise: float = 0.0
  failing: float = 0.0
  direction: str = 'maximise'
  report_direction: str = ''

  def __post_init__(self) -> None:
    self._check_directions()
    least = 3 if self.report == HELD_OUT else 1
    if len(self.rewards) < least:
      raise UserError(
          f'benchmark {self.name!r}: rewards {list(self.rewards)}: allowed are'
          f' at least {least} columns where report is {self.report!r}'
      )
    figures = [self.report] if self.report != HELD_OUT else []
    charged = [self.seconds] if self.seconds else []
    for column in (*self.rewards, *figures, *charged):
      self.table.column(column)
    if not 0 <= self.failing < 1:
      raise UserError(
          f'benchmark {self.name!r}: failing {self.failing}: allowed are shares'
          ' from 0 to below 1'
      )
    if not 0 <= self.noise < math.inf:
      raise UserError(
          f'benchmark {self.name!r}: noise {self.noise}: allowed are numbers'
          ' >= 0'
      )

  def _check_directions(self) -> None:
    for field in ('direction', 'report_direction'):
      value = getattr(self, field)
      if value not in DIRECTIONS and (field == 'direction' or value):
        raise UserError(
            f'benchmark {self.name!r}: {field} {value!r}: allowed are'
            f' {list(DIRECTIONS)}'
        )
    same = self.report == HELD_OUT or self.report in self.rewards
    if same and self.report_direction not in ('', self.direction):
      raise UserError(
          f'benchmark {self.name!r}: report_direction'
          f' {self.report_direction!r}: allowed is {self.direction!r}, the'
          ' direction of the signal that report names'
      )

  @property
  def sign(self) -> int:
    """1 where larger signals are better, -1 where smaller ones are."""
    return DIRECTIONS[self.direction]

  @property
  def report_sign(self) -> int:
    """Likewise, of the report column."""
    return DIRECTIONS[self.report_direction or self.direction]

  @functools.cached_property
  def problem(self) -> Problem:
    """Space, cost and target."""
    return Problem(self.table.cost(self.cost), self.target)

  @functools.cached_property
  def networks(self) -> tuple[int, int | None]:
    """Number of architectures, and of those in the target where known."""
    return self.table.space.size, self._survey.feasible

  @functools.cached_property
  def reference(self) -> Column:
    """Figures that shortfalls are measured against.

    The report column; where the report is a held-out training, the mean of all
    trainings, whose maximum no answer reaches on average.
    """
    return self.table.mean(self._referred)

  @property
  def optimum(self) -> float | None:
    """Best `reference` in the target interval; None where it is not known."""
    return self._survey.optimum

  def regret(self, figure: float) -> float | None:
    """How far a figure of `reference` falls short of the optimum; >= 0.

    Args:
      figure: of an architecture in the target.

    Returns:
      The shortfall; None where the optimum is not known.
    """
    if self.optimum is None:
      return None
    if self.report_sign > 0:
      return self.optimum - figure
    return figure - self.optimum

  @property
  def _referred(self) -> tuple[str, ...]:
    return self.rewards if self.report == HELD_OUT else (self.report,)

  @functools.cached_property
  def _survey(self) -> Survey:
    return self.table.survey(
        self.cost, self.target, self._referred, self.report_sign
    )

  def trainings(self, seed: int) -> tuple[tuple[str, ...], str]:
    """Columns that the queries of a run give in turn, and its report column.

    Args:
      seed: of the run.

    Returns:
      Names of the columns.
    """
    first = seed % len(self.rewards)
    turned = self.rewards[first:] + self.rewards[:first]
    if self.report == HELD_OUT:
      return turned[:-1], turned[-1]
    return turned, self.report

  def reported(self, architecture: Architecture, seed: int) -> float:
    """Figure that an answer is judged by.

    Args:
      architecture: the answer.
      seed: of the run.

    Returns:
      The figure, in the unit of its column.
    """
    _, report = self.trainings(seed)
    return self.table.column(report).item(architecture)


class TableEvaluator:
  """Evaluates the candidates of one run by looking them up.

  Query number q of an architecture gives training q of the run's rotation,
  with an error and a failure that depend on the run's seed and the number of
  the trial alone.
  """

  def __init__(self, benchmark: Benchmark, seed: int):
    """Prepares for one run.

    Args:
      benchmark: to look up in.
      seed: of the run.
    """
    names, _ = benchmark.trainings(seed)
    self._rewards = [benchmark.table.column(name) for name in names]
    self._seconds = (
        benchmark.table.column(benchmark.seconds) if benchmark.seconds else None
    )
    self._sign = benchmark.sign
    self._noise = benchmark.noise
    self._failing = benchmark.failing
    self._queries: dict[Architecture, int] = {}

  def __call__(self, candidate: Candidate) -> Evaluation:
    """Looks a candidate up; the larger its reward, the better.

    One that the table lacks fails.
    """
    architecture = candidate.architecture
    query = self._queries.get(architecture, 0)
    self._queries[architecture] = query + 1
    rewards = self._rewards[query % len(self._rewards)]
    reward = self._sign * rewards.item(architecture)
    seconds = self._seconds.item(architecture) if (
        self._seconds is not None
    ) else 0.0
    if math.isnan(reward):
      return Evaluation(
          None, seconds, Status.FAILED, 'the table has no such network'
      )
    if self._noise or self._failing:
      rng = np.random.default_rng(candidate.seed)
      if rng.random() < self._failing:
        return Evaluation(None, seconds, Status.FAILED, 'fails as configured')
      reward += self._noise * rng.standard_normal()
    return Evaluation(reward, seconds)
