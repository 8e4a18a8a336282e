"""Local search: the first better neighbour, until there is none; restart."""

import random

from layernas.search.problem import Problem
from layernas.search.space import Architecture
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.study.methods.baseline import Baseline
from layernas.study.methods.baseline import check_start
from layernas.study.methods.baseline import default_in_target
from layernas.study.methods.baseline import reward_of
from layernas.study.methods.baseline import uniform


class LocalSearch(Baseline):
  """Neighbours differ in one layer; a network without a better one is left.

  Every climb knows what it has evaluated itself and does not ask for it again;
  the next one begins without memory at a random network.
  """

  def __init__(self, start: str = 'random'):
    """Makes a strategy that has not begun.

    Args:
      start: where the first climb begins: 'random' or 'default', the default
        network (`default_in_target`). The later ones begin at random networks.

    Raises:
      UserError: another start.
    """
    super().__init__()
    check_start('local_search', start)
    self.start = start

  def generations(self, context: Context) -> Generations:
    """Yields climb after climb without end."""
    problem, rng = context.problem, context.rng
    if self.start == 'default':
      yield from self._climb(problem, rng, default_in_target(problem, rng))
    while True:
      start = self.draw(problem, rng, lambda: uniform(problem, rng))
      yield from self._climb(problem, rng, start)

  def _climb(
      self, problem: Problem, rng: random.Random, current: Architecture
  ) -> Generations:
    """One climb from a network in the target."""
    known = {current}
    best = reward_of((yield from self.evaluate(problem, current)))
    improved = True
    while improved:
      improved = False
      for neighbour in _shuffled_neighbours(problem, current, rng):
        if neighbour in known or not self.feasible(problem, neighbour):
          continue
        known.add(neighbour)
        trial = yield from self.evaluate(problem, neighbour)
        if reward_of(trial) > best:
          current, best, improved = neighbour, reward_of(trial), True
          break
    return 'climbed'


def _shuffled_neighbours(
    problem: Problem, architecture: Architecture, rng: random.Random
) -> list[Architecture]:
  """All architectures that differ in one layer, in random order."""
  neighbours = [
      architecture[:layer] + (option,) + architecture[layer + 1:]
      for layer, count in enumerate(problem.space.option_counts)
      for option in range(count)
      if option != architecture[layer]
  ]
  rng.shuffle(neighbours)
  return neighbours
