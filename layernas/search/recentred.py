"""Schedule `recentred` (ours): sweeps, each from the incumbent's options."""

from layernas.search.problem import Problem
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.sweep import Layerwise
from layernas.search.sweep import sweep_pass


class Recentred(Layerwise):
  """After a sweep, another whose undecided layers stand at the incumbent.

  Cost axes and reachable intervals are computed anew for every pass. It ends
  when two passes in a row (one in each direction, where the order alternates)
  leave the incumbent as it was.
  """

  def generations(self, context: Context) -> Generations:
    """Yields the children of each layer, pass after pass."""
    yield from sweep_pass(self.first_pass(context))
    start = self.passes[0].start
    unchanged = 0
    while True:
      incumbent = context.incumbent()
      if incumbent is None:
        return 'no network in the target interval was evaluated'
      best = incumbent.candidate.architecture
      unchanged = unchanged + 1 if best == start else 0
      if unchanged == 2:
        return 'two passes in a row found nothing better'
      start = best
      yield from sweep_pass(self.next_pass(context, start))

  def bound(self, problem: Problem) -> int | None:
    """None: the number of passes is not known beforehand."""
    del problem
    return None
