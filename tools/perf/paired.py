"""Figures of searches with the same seeds, compared pair by pair."""

import dataclasses
import math
import statistics
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from scipy import stats

from layernas.errors import UserError


def by_plan(
    lines: Iterable[Mapping[str, Any]], plans: Iterable[str],
    figure: Callable[[Mapping[str, Any]], float | None],
) -> dict[str, list[float]]:
  """Figures of the seeds that have one under every plan.

  Args:
    lines: of searches, with 'plan' and 'seed'.
    plans: to compare.
    figure: of a line; None where its search has no answer.

  Returns:
    Of each plan a figure for each seed, in the order of the seeds.

  Raises:
    UserError: there are fewer than two such seeds.
  """
  found: dict[str, dict[int, float]] = {plan: {} for plan in plans}
  for line in lines:
    value = figure(line)
    if value is not None:
      found[line['plan']][line['seed']] = value
  seeds = sorted(set.intersection(*map(set, found.values())))
  if len(seeds) < 2:
    raise UserError(
        f'searches: {len(seeds)} seeds have a figure under each of'
        f' {list(found)}; allowed are two at least: run without --report'
    )
  return {plan: [one[seed] for seed in seeds] for plan, one in found.items()}


@dataclasses.dataclass(frozen=True)
class Difference:
  """How far figures are above those that they are paired with.

  Attributes:
    figures: of a plan, by seed; two at least.
    others: of the plan that it is compared with, in the same order.
  """

  figures: Sequence[float]
  others: Sequence[float]

  @property
  def pairs(self) -> list[float]:
    """Differences of the pairs."""
    return [a - b for a, b in zip(self.figures, self.others, strict=True)]

  @property
  def p(self) -> float:
    """Of Wilcoxon's signed-rank test, two-sided; 1 where all are zero."""
    pairs = self.pairs
    return float(stats.wilcoxon(pairs).pvalue) if any(pairs) else 1.0

  def __str__(self) -> str:
    """The mean and its standard error."""
    pairs = self.pairs
    error = statistics.stdev(pairs) / math.sqrt(len(pairs))
    return f'{statistics.fmean(pairs):+.2f} ± {error:.2f}'
