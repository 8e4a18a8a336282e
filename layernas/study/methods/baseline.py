"""What all baselines share: proposals in the target interval, one at a time."""

import random
from collections.abc import Callable
from collections.abc import Generator

import numpy as np

from layernas.errors import UserError
from layernas.search.layer_pass import random_start
from layernas.search.problem import Problem
from layernas.search.space import Architecture
from layernas.search.strategy import Strategy
from layernas.search.trial import Proposal
from layernas.search.trial import Trial

Evaluating = Generator[list[Proposal], None, Trial]
"""Yields one proposal; returns its trial."""

STARTS = ('random', 'default')
"""Where a baseline may begin: random networks, or the default network."""

_REJECTIONS = 1000
"""Draws in a row outside the target before a random network takes their place:
an operator whose every result is infeasible must not stop a run."""


class Baseline(Strategy):
  """A strategy without layer tables.

  Costs are known before training: an architecture outside the target interval
  is rejected before it is proposed and is charged nothing. `infeasible` counts
  the rejections.
  """

  def __init__(self) -> None:
    """Begins with nothing rejected."""
    self._rejected = 0
    self._trial: Trial | None = None

  def observe(self, proposal: Proposal, trial: Trial) -> None:
    """Keeps the result for the generator that waits for it."""
    del proposal
    self._trial = trial

  @property
  def infeasible(self) -> int:
    """Architectures rejected because they miss the target."""
    return self._rejected

  def evaluate(self, problem: Problem, architecture: Architecture
               ) -> Evaluating:
    """Proposes one architecture and waits for its trial."""
    yield [Proposal(architecture, problem.cost.cost(architecture))]
    if self._trial is None:
      raise RuntimeError('the engine went on without telling the result')
    return self._trial

  def feasible(self, problem: Problem, architecture: Architecture) -> bool:
    """Whether an architecture may be proposed; counts it where not."""
    if problem.admits(architecture, problem.cost.cost(architecture)):
      return True
    self._rejected += 1
    return False

  def draw(
      self, problem: Problem, rng: random.Random,
      operator: Callable[[], Architecture],
  ) -> Architecture:
    """First feasible result of a random operator.

    Args:
      problem: space, cost and target.
      rng: random source.
      operator: draws an architecture.

    Returns:
      Its first result in the target; a random network after `_REJECTIONS`.
    """
    for _ in range(_REJECTIONS):
      architecture = operator()
      if self.feasible(problem, architecture):
        return architecture
    return random_start(problem, rng)


def reward_of(trial: Trial) -> float:
  """Reward of a trial; -inf where it has none."""
  return trial.evaluation.reward if trial.ok else float('-inf')


def uniform(problem: Problem, rng: random.Random) -> Architecture:
  """An architecture drawn uniformly from the whole space."""
  return tuple(rng.randrange(n) for n in problem.space.option_counts)


def default_in_target(problem: Problem, rng: random.Random) -> Architecture:
  """The default network, or one near it where that misses the target.

  One layer is changed at a time: where one change is enough, the one that moves
  the cost least; else the one that comes nearest to the target, so that few are
  needed. Of equal ones the first.

  Args:
    problem: space, cost and target.
    rng: draws a random network in the target where no change comes nearer.

  Returns:
    An architecture in the target.
  """
  current = problem.space.default
  while not problem.admits(current, cost := problem.cost.cost(current)):
    changed = _one_layer_changes(problem, current)
    costs = problem.cost.costs(changed)
    inside = problem.admitted(changed, costs)
    misses = _misses(problem, changed)
    if inside.any():
      moves = np.where(inside, np.abs(costs - cost), np.inf)
      current = tuple(changed[np.argmin(moves)].tolist())
    elif misses.min() < _misses(problem, np.array([current])).min():
      current = tuple(changed[np.argmin(misses)].tolist())
    else:
      return random_start(problem, rng)
  return current


def _one_layer_changes(
    problem: Problem, architecture: Architecture
) -> np.ndarray:
  """All architectures that differ in one layer, [number, layers]."""
  changed = [
      architecture[:layer] + (option,) + architecture[layer + 1:]
      for layer, count in enumerate(problem.space.option_counts)
      for option in range(count) if option != architecture[layer]
  ]
  return np.array(changed or [architecture])


def _misses(problem: Problem, architectures: np.ndarray) -> np.ndarray:
  """How far the costs of networks are outside of what is allowed; 0 inside.

  Where there are further limits, the costs above them are added, whatever
  their units: less of each is nearer.
  """
  low, high = problem.target.low, problem.target.high
  costs = problem.cost.costs(architectures)
  misses = np.maximum(np.maximum(low - costs, costs - high), 0)
  for limit in problem.limits:
    further = limit.cost.costs(architectures)
    misses = misses + np.maximum(further - limit.high, 0)
  return misses


def mutate(
    problem: Problem, architecture: Architecture, rng: random.Random
) -> Architecture:
  """Changes one layer, drawn uniformly, to another option.

  Args:
    problem: whose space it is.
    architecture: to change.
    rng: random source.

  Returns:
    Another architecture; the same one where no layer has two options.
  """
  counts = problem.space.option_counts
  layers = [layer for layer, count in enumerate(counts) if count > 1]
  if not layers:
    return architecture
  layer = rng.choice(layers)
  option = rng.randrange(counts[layer] - 1)
  option += option >= architecture[layer]
  return architecture[:layer] + (option,) + architecture[layer + 1:]


def check_start(owner: str, start: str) -> None:
  """Raises UserError unless a start is one of `STARTS`."""
  if start not in STARTS:
    raise UserError(f'{owner}.start: {start!r}: allowed are {list(STARTS)}')
