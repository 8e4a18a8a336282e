"""Synthetic benchmarks: rewards over any table's space, and a chain.

The rewards are added to a table as a column; its space and its costs stay.
Errors and failures of queries are fields of `benchmark.Benchmark`.

The chain is a space of its own, too large to enumerate, with a known optimum:
each layer has a reward, and neighbouring layers interact, so that a dynamic
program over layers and costs finds the best network under a cost limit.
"""

import math
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

from layernas.errors import UserError
from layernas.search import Factor
from layernas.search import FactoredCost
from layernas.search import Layer
from layernas.search import SearchSpace
from layernas.search import additive_cost
from layernas.search.problem import TargetInterval
from layernas.study.tables.table import BenchmarkTable
from layernas.study.tables.table import Oracle
from layernas.study.tables.table import Survey

REWARD = 'chain'
COST = 'units'
"""The two columns of a `Chain`."""


def with_additive_reward(
    table: BenchmarkTable, seed: int, name: str = 'additive'
) -> BenchmarkTable:
  """Adds a reward that is a sum of one term per layer.

  With additive costs the paper's assumption 4.1 then holds exactly.

  Args:
    table: whose space is taken.
    seed: of the standard normal terms.
    name: of the new column.

  Returns:
    The table with that column.
  """
  rng = np.random.default_rng(seed)
  counts = table.space.option_counts
  return table.with_column(name, _sum_of_layers(counts, rng))


def with_interacting_reward(
    table: BenchmarkTable, seed: int, strength: float = 1.0,
    name: str = 'interacting',
) -> BenchmarkTable:
  """Adds a reward in which every two layers interact: the assumption fails.

  Args:
    table: whose space is taken.
    seed: of the standard normal terms.
    strength: standard deviation of all interactions of a network together,
      relative to that of the terms of single layers.
    name: of the new column.

  Returns:
    The table with that column.
  """
  rng = np.random.default_rng(seed)
  counts = table.space.option_counts
  reward = _sum_of_layers(counts, rng)
  layers = len(counts)
  pairs = [(i, j) for i in range(layers) for j in range(i)]
  scale = strength * np.sqrt(layers / len(pairs)) if pairs else 0.0
  for pair in pairs:
    shape = [count if i in pair else 1 for i, count in enumerate(counts)]
    reward = reward + scale * rng.standard_normal(shape)
  return table.with_column(name, reward)


def _sum_of_layers(
    counts: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
  reward = np.zeros(counts)
  for layer, count in enumerate(counts):
    shape = [1] * len(counts)
    shape[layer] = count
    reward = reward + rng.standard_normal(shape)
  return reward


class Chain(Oracle):
  """A reward over a chain of layers, whose optimum is known.

  Option k of layer l, both from 0, costs (k + 1) * (1 + l % 5) units. Its own
  reward is a standard normal term plus the share of options that are cheaper;
  every pair of options of neighbouring layers adds a normal term.

  The dearest options are the defaults of the space.

  Attributes:
    single: rewards of the layers' options, shape (layers, options).
    pairs: of neighbours' options, shape (layers - 1, options, options).
    units: costs, shape (layers, options).
  """

  def __init__(self, layers: int, options: int, seed: int, strength: float):
    """Draws the rewards.

    Args:
      layers: number of layers.
      options: of every layer.
      seed: of the rewards.
      strength: standard deviation of all interactions of a network together,
        relative to that of the terms of single layers.

    Raises:
      UserError: fewer than two layers or options.
    """
    for name, value in (('layers', layers), ('options', options)):
      if value < 2:
        raise UserError(
            f'chain_{name}: {value}: allowed are integers >= 2'
        )
    rng = np.random.default_rng(seed)
    self.single = rng.standard_normal((layers, options)) + np.linspace(
        0, 1, options
    )
    self.pairs = strength * math.sqrt(
        layers / (layers - 1)
    ) * rng.standard_normal((layers - 1, options, options))
    self.units = np.outer(1 + np.arange(layers) % 5, 1 + np.arange(options))
    space = SearchSpace(
        Layer(f'layer{i}', tuple(range(options)), options - 1)
        for i in range(layers)
    )
    terms = [Factor((i,), row) for i, row in enumerate(self.single)]
    terms += [Factor((i, i + 1), table) for i, table in enumerate(self.pairs)]
    super().__init__(
        f'chain of {layers} layers with {options} options', space,
        {REWARD: FactoredCost(REWARD, space, terms).cost},
        (additive_cost(COST, space, self.units, unit=COST),),
    )

  def content(self, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """What the reward and the cost are sums of."""
    del columns
    return {'single': self.single, 'pairs': self.pairs, 'units': self.units}

  def survey(
      self, cost: str, target: TargetInterval, figures: Sequence[str],
      sign: int,
  ) -> Survey:
    """Counts the networks of the target and finds the largest reward."""
    del cost
    count = self.count(target)
    known = count and sign > 0 and tuple(figures) == (REWARD,)
    return Survey(count, self.optimum(target) if known else None)

  def optimum(self, target: TargetInterval) -> float:
    """Largest reward of the networks in a target; -inf if there are none."""
    end = int(min(target.high, self.units.max(axis=1).sum())) + 1
    best = np.full((self.units.shape[1], end), -np.inf)
    for option, cost in enumerate(self.units[0].tolist()):
      best[option, cost:cost + 1] = self.single[0, option]
    for layer in range(1, len(self.units)):
      before, best = best, np.full_like(best, -np.inf)
      for option, cost in enumerate(self.units[layer].tolist()):
        reached = (before + self.pairs[layer - 1][:, option, None]).max(axis=0)
        best[option, cost:] = reached[:max(end - cost, 0)]
        best[option] += self.single[layer, option]
    least = math.ceil(max(target.low, 0))
    return float(best[:, least:].max(initial=-np.inf))

  def count(self, target: TargetInterval) -> int:
    """Number of networks in a target."""
    ways = {0: 1}
    for costs in self.units.tolist():
      reached: dict[int, int] = {}
      for cost in costs:
        for total, number in ways.items():
          reached[total + cost] = reached.get(total + cost, 0) + number
      ways = reached
    return sum(number for total, number in ways.items() if total in target)
