"""Regularised evolution (Real et al., arXiv 1802.01548, algorithm 1)."""

from collections import deque

from layernas.plain import check_integers
from layernas.search.strategy import Context
from layernas.search.strategy import Generations
from layernas.study.methods.baseline import Baseline
from layernas.study.methods.baseline import check_start
from layernas.study.methods.baseline import default_in_target
from layernas.study.methods.baseline import mutate
from layernas.study.methods.baseline import reward_of
from layernas.study.methods.baseline import uniform


class RegularizedEvolution(Baseline):
  """Mutates the best of a random sample; the oldest member dies."""

  def __init__(
      self, population: int = 10, sample: int = 3, start: str = 'random'
  ):
    """Makes a strategy that has not begun.

    Args:
      population: members alive; 10 in NATS-Bench's protocol.
      sample: members drawn, with replacement, of which the best is the parent;
        3 in NATS-Bench's protocol.
      start: 'random': the first members are random networks; 'default': the
        default network (`default_in_target`) and mutations of it.

    Raises:
      UserError: a setting is wrong.
    """
    super().__init__()
    check_integers('evolution', population=population, sample=sample)
    check_start('evolution', start)
    self.start = start
    self.population = population
    self.sample = sample

  def generations(self, context: Context) -> Generations:
    """Yields the first members, then child after child."""
    problem, rng = context.problem, context.rng
    alive = deque(maxlen=self.population)
    if self.start == 'default':
      seed = default_in_target(problem, rng)
      trial = yield from self.evaluate(problem, seed)
      alive.append((reward_of(trial), seed))
    while True:
      if len(alive) < self.population and self.start == 'default':
        child = self.draw(
            problem, rng, lambda: mutate(problem, seed, rng)
        )
      elif len(alive) < self.population:
        child = self.draw(problem, rng, lambda: uniform(problem, rng))
      else:
        parent = max(rng.choices(alive, k=self.sample))[1]
        child = self.draw(
            problem, rng, lambda parent=parent: mutate(problem, parent, rng)
        )
      trial = yield from self.evaluate(problem, child)
      alive.append((reward_of(trial), child))
