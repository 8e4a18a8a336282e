"""What a search may ask for next, while a candidate is being evaluated.

Where the next candidate depends on the present one's result, two results are
tried out, one better than all before and one worse: a layer table takes the
candidate or it does not. A search is a function of its settings and its trials,
so that a second one, told the same, goes on as this one would.
"""

from collections.abc import Callable

from layernas.search.engine import Search
from layernas.search.space import Architecture
from layernas.search.sweep import Layerwise
from layernas.search.trial import Evaluation


def foreseen(
    search: Search, afresh: Callable[[], Search], count: int
) -> list[Architecture]:
  """Architectures that will or may be asked for next; changes nothing.

  Args:
    search: with candidates that have been asked and not told.
    afresh: makes a search of the same settings that has not begun. It is told
      all trials: made use of for layerwise schedules alone, where that takes
      microseconds a trial.
    count: how many at most.

  Returns:
    Those that are certain; where there are none, the next one after a worse
    and after a better result.
  """
  certain = search.upcoming(count)
  layerwise = isinstance(search.strategy.proposer, Layerwise)
  if certain or count < 1 or not layerwise or not search.waiting:
    return certain
  rewards = [t.evaluation.reward for t in search.trials if t.ok] or [0.0]
  # The worse one first: the best of several in a bucket is mostly an older one.
  branches = dict.fromkeys(
      _first_after(search, afresh(), reward)
      for reward in (min(rewards) - 1, max(rewards) + 1)
  )
  return [one for one in branches if one is not None][:count]


def _first_after(
    search: Search, other: Search, reward: float
) -> Architecture | None:
  """What comes next, if anything, if all waiting candidates get one reward."""
  other.replay(search.trials)
  for candidate in other.ask(len(search.waiting)):
    other.tell(candidate.id, Evaluation(reward))
  asked = other.ask()
  return asked[0].architecture if asked else None
