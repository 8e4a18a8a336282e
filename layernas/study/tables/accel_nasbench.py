"""Accel-NASBench: ImageNet accuracy and device costs of MnasNet's space.

Seven blocks with four decisions each. The benchmark's authors trained 5,125 of
the networks; what the others reach is the estimate of boosted trees that were
fitted to those. Multiply-adds, parameters and latencies are sums of one term
per block. Where the numbers come from, and what the estimates are worth:
layernas/study/tables/packaged/README.md and docs/benchmarks.md.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from layernas.errors import UserError
from layernas.search import Architecture
from layernas.search import Factor
from layernas.search import FactoredCost
from layernas.search import Layer
from layernas.search import SearchSpace
from layernas.study.tables.boosted_trees import BoostedTrees
from layernas.study.tables.packaged import decode
from layernas.study.tables.packaged import read_archive
from layernas.study.tables.packaged import read_description
from layernas.study.tables.table import Oracle
from layernas.study.tables.table import unit_of

NAME = 'accel_nasbench'

DECISIONS = 4
"""Of a block, layers of the space: expansion, kernel, layers, squeeze."""

ACCURACY = 'val_top1'
"""Column of the estimated ImageNet accuracy, per cent."""

LIMIT = 383_000_000
"""Multiply-adds that half of all networks stay below, to one per cent."""


def load(start: str = 'middle') -> Oracle:
  """Loads the benchmark.

  Args:
    start: the space's default network: 'middle', the middle option of every
      decision (of two the first), or 'mnasnet_a1', MnasNet-A1 as far as the
      space has it.

  Returns:
    The table; its columns are `ACCURACY` and the costs.

  Raises:
    UserError: there is no such start network, or a file is damaged.
  """
  described = read_description(f'{NAME}.json')
  return make(described, read_archive(NAME, described['sha256']), start)


def make(
    described: Mapping[str, Any], arrays: Mapping[str, np.ndarray], start: str
) -> Oracle:
  """The benchmark of a description and its arrays; see `load`."""
  starts = described['starts']
  if start not in starts:
    raise UserError(
        f'table.settings.start: {start!r}: allowed are {list(starts)}'
    )
  space = SearchSpace(
      Layer(layer['name'], layer['options'], default)
      for layer, default in zip(
          described['layers'], starts[start], strict=True
      )
  )
  costs = [
      _cost(name, space, decode(arrays[name], details['decimals']))
      for name, details in described['costs'].items()
  ]
  trees = BoostedTrees(
      int(arrays['base']), arrays['layers'], arrays['thresholds'],
      arrays['leaves'],
  )
  unit = 10.0 ** described['decimals']

  def accuracy(architecture: Architecture) -> float:
    return trees.sums(np.array([architecture])).item() / unit

  return Oracle(NAME, space, {ACCURACY: accuracy}, costs)


def _cost(name: str, space: SearchSpace, terms: np.ndarray) -> FactoredCost:
  """A cost of its terms: a constant, then the combinations of each block."""
  factors = [Factor((), terms[0])]
  begin = 1
  for first in range(0, len(space), DECISIONS):
    scope = tuple(range(first, first + DECISIONS))
    shape = space.option_counts[first:first + DECISIONS]
    end = begin + math.prod(shape)
    factors.append(Factor(scope, terms[begin:end].reshape(shape)))
    begin = end
  return FactoredCost(name, space, factors, unit_of(name))
