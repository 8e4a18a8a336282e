"""What a search may ask for next, while a candidate is being evaluated.

Where the next candidate depends on the present one's result, it is taken to be
worse than all before: a bucket holds the best of several, mostly an older one,
and where it holds none the candidate is kept all the same. A search is a
function of its settings and its trials, so that a second one, told the same,
goes on as this one would.
"""

from collections.abc import Callable

from layernas.search.engine import Search
from layernas.search.space import Network
from layernas.search.trial import Evaluation


def foreseen(
    search: Search, afresh: Callable[[], Search], count: int
) -> list[Network]:
  """Architectures that will or may be asked for next; changes nothing.

  Args:
    search: with candidates that have been asked and not told.
    afresh: makes a search of the same settings that has not begun. It is told
      all trials: made use of for layerwise schedules alone, where that takes
      microseconds a trial.
    count: how many at most.

  Returns:
    Those that are certain; where there are none, the likeliest one, if any.
  """
  certain = search.upcoming(count)
  layerwise = search.strategy.proposer.passes is not None
  if certain or count < 1 or not layerwise or not search.waiting:
    return certain
  other = afresh()
  other.replay(search.trials)
  worst = min(
      (trial.evaluation.reward for trial in search.trials if trial.ok),
      default=0.0,
  )
  for candidate in other.ask(len(search.waiting)):
    other.tell(candidate.id, Evaluation(worst - 1))
  return [candidate.architecture for candidate in other.ask()]


class Foresight:
  """What a search may ask for next, at a cost that many workers can bear.

  Where nothing is certain, all trials are replayed: at the end of a layer that
  hundreds of workers train, once for every result would be too often.
  """

  def __init__(self, search: Search, afresh: Callable[[], Search], count: int):
    """Prepares; see `foreseen`."""
    self._search = search
    self._afresh = afresh
    self._count = count
    self._guess: list[Network] = []
    self._last: int | None = None
    self._waiting = 0

  def now(self) -> list[Network]:
    """As `foreseen`; guesses anew when half of what waited then is told."""
    if certain := self._search.upcoming(self._count):
      return certain
    waiting = self._search.waiting
    last = waiting[-1].id if waiting else None
    if last != self._last or 2 * len(waiting) <= self._waiting:
      self._last, self._waiting = last, len(waiting)
      self._guess = foreseen(self._search, self._afresh, self._count)
    return self._guess
