"""An own schedule: coordinate descent, layer by layer from a random network.

Any importable class or function that takes the settings as keyword arguments
and gives a Strategy will do:

  ./launch.sh search --config=configs/cifar10_small.py:smoke \
    --config.search.schedule=examples.own_schedule:CoordinateDescent \
    --config.search.settings.rounds=2 --workdir=workdir/own_schedule
"""

from layernas.errors import UserError
from layernas.search.layer_pass import random_start
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.search.strategy import Strategy
from layernas.search.trial import Proposal
from layernas.search.trial import Trial


class CoordinateDescent(Strategy):
  """Tries all options of a layer, goes on from the best network so far."""

  def __init__(self, rounds: int = 1):
    """Makes a schedule that has not begun.

    Args:
      rounds: through all layers, at most.
    """
    if rounds < 1:
      raise UserError(
          f'search.settings.rounds: {rounds}: allowed are integers >= 1'
      )
    self.rounds = rounds

  def generations(self, context: Context) -> Generations:
    """Yields the networks in the target that differ in one layer."""
    problem = context.problem
    network = random_start(problem, context.rng)
    for _ in range(self.rounds):
      before = network
      for layer, options in enumerate(problem.space.option_counts):
        changed = [
            network[:layer] + (option,) + network[layer + 1:]
            for option in range(options)
        ]
        # These may be trained all at once; known ones are not trained again.
        yield [
            Proposal(one, problem.cost.cost(one), layer=layer + 1)
            for one in changed
            if problem.admits(one, problem.cost.cost(one))
        ]
        if (best := context.incumbent()) is not None:
          network = best.candidate.architecture
      if network == before:
        return 'a round found nothing better'
    return f'{self.rounds} rounds are through'

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Keeps nothing: the search itself knows the best network so far."""
