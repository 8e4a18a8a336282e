"""The default network and nothing else: what every search has to beat."""

from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.study.methods.baseline import Baseline
from layernas.study.methods.baseline import default_in_target


class DefaultNetwork(Baseline):
  """Evaluates the default network once and answers with it.

  Where the default misses the target, the network that `default_in_target`
  finds near it takes its place.
  """

  def generations(self, context: Context) -> Generations:
    """Yields one network."""
    default = default_in_target(context.problem, context.rng)
    yield from self.evaluate(context.problem, default)
    return 'the default network is evaluated'
