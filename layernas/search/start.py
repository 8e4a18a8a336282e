"""Where the undecided layers stand, and in which order layers are decided."""

import random
from collections.abc import Callable

import numpy as np

from layernas.errors import UserError
from layernas.search.prefix import child_costs
from layernas.search.problem import Problem
from layernas.search.space import Architecture

# Draws before a random network is built layer by layer instead; where fewer
# than about one network in a thousand is feasible, drawing is the slower way.
_DRAWS = 1000


def default_start(problem: Problem, rng: random.Random) -> Architecture:
  """The default option of every layer."""
  del rng
  return problem.space.default


def smallest_start(problem: Problem, rng: random.Random) -> Architecture:
  """The cheapest network (where options do not trade off between layers)."""
  del rng
  return _greedy(problem, lambda low, high: int(np.argmin(low)))


def largest_start(problem: Problem, rng: random.Random) -> Architecture:
  """The dearest network (where options do not trade off between layers)."""
  del rng
  return _greedy(problem, lambda low, high: int(np.argmax(high)))


def random_start(problem: Problem, rng: random.Random) -> Architecture:
  """A random network in the target interval.

  Uniform over the feasible networks where these are not rare; else built
  layer by layer from options that can still reach the target.

  Args:
    problem: space, cost and target.
    rng: random source.

  Returns:
    An architecture.

  Raises:
    UserError: none was found; the target interval is too narrow.
  """
  counts = problem.space.option_counts
  for _ in range(_DRAWS):
    drawn = tuple(rng.randrange(count) for count in counts)
    if problem.cost.cost(drawn) in problem.target:
      return drawn

  def choose(low: np.ndarray, high: np.ndarray) -> int:
    feasible = np.flatnonzero(problem.target.meets(low, high))
    return int(rng.choice(feasible)) if feasible.size else 0

  for _ in range(_DRAWS):
    built = _greedy(problem, choose)
    if problem.cost.cost(built) in problem.target:
      return built
  raise UserError(
      f'target interval [{problem.target.low:,}, {problem.target.high:,}]: no'
      f' network found in it in {2 * _DRAWS:,} draws; allowed is an interval'
      ' that more networks reach'
  )


def _greedy(
    problem: Problem, choose: Callable[[np.ndarray, np.ndarray], int]
) -> Architecture:
  """Decides layer by layer by the options' reachable intervals."""
  architecture = np.array([problem.space.default])
  for layer in range(len(problem.space)):
    priced = child_costs(problem.cost, architecture, range(layer), layer)
    architecture[0, layer] = choose(priced.low[0], priced.high[0])
  return tuple(architecture[0].tolist())


STARTS: dict[str, Callable[[Problem, random.Random], Architecture]] = {
    'default': default_start,
    'smallest': smallest_start,
    'largest': largest_start,
    'random': random_start,
}
"""Named networks to start a pass from. 'default' is the paper's."""

ORDERS = ('forward', 'backward', 'alternating', 'random')
"""Named orders of the layers. 'forward' is the paper's; the others are ours."""


def layer_order(
    name: str, layers: int, number: int, rng: random.Random
) -> tuple[int, ...]:
  """Order in which a pass decides the layers.

  Args:
    name: one of `ORDERS`; 'alternating' is forward in even passes and backward
      in odd ones.
    layers: how many there are.
    number: of the pass, from 0.
    rng: random source.

  Returns:
    A permutation of 0..layers-1.
  """
  order = list(range(layers))
  if name == 'backward' or (name == 'alternating' and number % 2):
    order.reverse()
  elif name == 'random':
    rng.shuffle(order)
  return tuple(order)
