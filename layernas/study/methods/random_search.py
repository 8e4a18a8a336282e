"""Random search: networks drawn uniformly from the target interval."""

from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.trial import Proposal
from layernas.study.methods.baseline import Baseline
from layernas.study.methods.baseline import uniform

# Networks drawn at once, so that many workers can run at the same time.
_GENERATION = 32


class RandomSearch(Baseline):
  """Draws with replacement."""

  def generations(self, context: Context) -> Generations:
    """Yields random networks without end."""
    problem, rng = context.problem, context.rng
    while True:
      drawn = [
          self.draw(problem, rng, lambda: uniform(problem, rng))
          for _ in range(_GENERATION)
      ]
      yield [Proposal(each, problem.cost.cost(each)) for each in drawn]
