"""Whether a layerwise search reaches its last layer within its budget.

How many networks a sweep trains is known only when costs have been put into
buckets; which of them are kept depends on rewards, their number hardly does. So
the search is played with random rewards: a thousand trials take less than a
second, and no more than some thousands are played before a search begins.
"""

import dataclasses
import math
import random
from typing import Any

from layernas.search.budget import Budget
from layernas.search.engine import Search
from layernas.search.strategy import Strategy
from layernas.search.sweep import Layerwise
from layernas.search.trial import Evaluation

# Buckets that are tried in place of too many, the largest that fits is named.
_FEWER = (50, 20, 10, 5, 3, 2, 1)

# A budget that is looked at is so many times the search's at most.
_LARGER = 20

# Trials that are played at most.
_PLAYED = 5000

# Budgets that are tried, in trials that the layers take: a wrapper, such as
# `Finalists`, keeps a share for itself.
_WITH_SHARE = (1.0, 1.1, 1.25, 1.5, 2.0)


@dataclasses.dataclass(frozen=True)
class Outlook:
  """How far a search comes.

  Attributes:
    layers: number of layers that it reaches within its budget.
    of: number of all layers.
    buckets: largest number of buckets with which it would reach all; 0 if no
      number does, or if it reaches all as it is.
    trials: budget with which it would reach all; 0 if that is more than twenty
      times the present one or more than is played, or if it reaches all as it
      is.
  """

  layers: int
  of: int
  buckets: int = 0
  trials: int = 0

  def __str__(self) -> str:
    """What to know before it begins, and what would help."""
    if self.layers == self.of:
      return f'the budget is enough to reach all {self.of} layers'
    ways = [
        f'search.buckets={self.buckets}' if self.buckets else '',
        f'budget.trials={self.trials}' if self.trials else '',
        'search.schedule=model_guided',
    ]
    return (
        f'the budget ends in layer {self.layers} of {self.of}, and later layers'
        f' stay as they are: all are reached with'
        f' {" or ".join(filter(None, ways))}'
    )


def outlook(search: Search) -> Outlook | None:
  """Looks ahead; changes nothing.

  Args:
    search: begun or not.

  Returns:
    How far it comes; None where it is not layerwise, has no budget of trials,
    or has one too large to be played.
  """
  proposer, trials = search.strategy.proposer, search.budget.trials
  if not isinstance(proposer, Layerwise) or trials > _PLAYED:
    return None
  layers, _ = _played(search, search.strategy, trials)
  whole = len(search.problem.space)
  if layers == whole:
    return Outlook(layers, whole)

  def fits(trials: float, buckets: int = proposer.buckets) -> bool:
    found, _ = _played(search, search.strategy, trials, buckets=buckets)
    return found == whole

  fewer = (
      count for count in _FEWER
      if count < proposer.buckets and fits(trials, count)
  )
  most = min(_LARGER * trials, _PLAYED)
  reached, needed = _played(search, search.strategy, most)
  larger = (math.ceil(needed * factor) for factor in _WITH_SHARE)
  enough = (count for count in larger if count <= most and fits(count))
  return Outlook(
      layers, whole, next(fewer, 0), next(enough, 0) if reached == whole else 0
  )


def sweep_trials(search: Search, strategy: Layerwise) -> int | None:
  """Trials that a pass over all layers takes.

  Args:
    search: whose problem and seed count.
    strategy: that is played.

  Returns:
    The trials; None where they are more than are played.
  """
  layers, trials = _played(search, strategy, _PLAYED)
  return trials if layers == len(search.problem.space) else None


def _played(
    search: Search, strategy: Strategy, trials: float, **settings: Any
) -> tuple[int, int]:
  """Plays a search with random rewards.

  Args:
    search: whose problem and seed count.
    strategy: that is played, with all that wraps it; it is left as it is.
    trials: budget.
    **settings: of the layerwise schedule, where they differ.

  Returns:
    Layers reached, and the trials by then.
  """
  proposer = dataclasses.replace(strategy.proposer, **settings)
  played = Search(
      search.problem, strategy.around(proposer), Budget(trials), search.seed
  )
  rng = random.Random(search.seed)
  while candidates := played.ask():
    for candidate in candidates:
      played.tell(candidate.id, Evaluation(rng.random()))
    # The rest of the last layer's generation belongs to it.
    if _reached(proposer) == len(search.problem.space) and not (
        played.upcoming(1)
    ):
      break
  return _reached(proposer), len(played.trials)


def _reached(strategy: Layerwise) -> int:
  """Layers in whose tables something stands; none before the first pass."""
  return sum(
      len(table) > 0 for one in strategy.passes[:1] for table in one.tables[1:]
  )
