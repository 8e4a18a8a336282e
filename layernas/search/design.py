"""Which networks a reward model is first fitted to (ours).

Random networks tell something about every layer at once, and more of it the
less they are alike. Only where the default network is better than they are does
it pay to stay near it, and to change one layer at a time.
"""

import itertools
import random
from collections.abc import Collection

import numpy as np

from layernas.search.layer_pass import random_start
from layernas.search.problem import Problem
from layernas.search.reward_model import Kernel
from layernas.search.space import Architecture

# Random networks of which those unlike each other are chosen.
_POOL = 200

# Prior variances under which networks are alike: of single layers, pairs, all
# layers together, and the noise; those with which learning begins.
_VARIANCES = (1.0, 0.3, 0.1)
_NOISE = 0.3


def spread(
    problem: Problem, rng: random.Random, count: int,
    known: Collection[Architecture],
) -> list[Architecture]:
  """Networks in the target that are unlike the known ones, and each other.

  One after another, the network of a pool is taken of which those taken
  before say least: it has the largest variance left (a greedy D-optimal
  design). Of several upper limits, each has its share of the pool.

  Args:
    problem: space, cost and target.
    rng: random source.
    count: how many at most.
    known: networks that are trained already.

  Returns:
    Distinct networks, fewer than `count` where no more are found.
  """
  known = list(known)
  drawn = random_networks(problem, rng, max(_POOL, 5 * count))
  pool = [one for one in dict.fromkeys(drawn) if one not in known]
  if len(pool) <= count:
    return pool
  kernel = Kernel(problem.space.option_counts)
  features = kernel.one_hot(np.array(known + pool))
  covariance = kernel.covariance(features, features, _VARIANCES)
  left = covariance.diagonal().copy()
  # What the chosen ones explain: columns of a Cholesky factor.
  explained = np.zeros((len(left), 0))
  chosen = list(range(len(known)))
  for step in range(len(known) + count):
    if step == len(chosen):
      free = left.copy()
      free[chosen] = -np.inf
      chosen.append(int(np.argmax(free)))
    index = chosen[step]
    column = covariance[:, index] - explained @ explained[index]
    column /= np.sqrt(column[index] + _NOISE)
    explained = np.column_stack([explained, column])
    left -= column**2
  return [pool[index - len(known)] for index in chosen[len(known):]]


def random_networks(
    problem: Problem, rng: random.Random, count: int
) -> list[Architecture]:
  """Random networks in the target, under each of its upper limits in turn.

  Args:
    problem: space, cost and target.
    rng: random source.
    count: how many.

  Returns:
    The networks; some may be equal.
  """
  limits = itertools.cycle(problem.each_limit)
  return [
      random_start(one, rng) for one in itertools.islice(limits, count)
  ]


def single_changes(
    problem: Problem, rng: random.Random, count: int,
    known: Collection[Architecture],
) -> list[Architecture]:
  """Networks in the target that differ from the default in one layer.

  Args:
    problem: space, cost and target.
    rng: random source, which orders them.
    count: how many at most.
    known: networks that are trained already.

  Returns:
    Distinct networks.
  """
  default = problem.space.default
  changes = [
      default[:layer] + (option,) + default[layer + 1:]
      for layer, options in enumerate(problem.space.option_counts)
      for option in range(options) if option != default[layer]
  ]
  changes = [
      one for one in changes
      if one not in known and problem.admits(one, problem.cost.cost(one))
  ]
  rng.shuffle(changes)
  return changes[:count]
