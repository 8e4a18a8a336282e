"""Synthetic rewards over the space and the costs of any table.

Errors and failures of queries are fields of `benchmark.Benchmark`.
"""

import numpy as np

from layernas.benchmarks.table import BenchmarkTable


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
