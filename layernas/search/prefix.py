"""Costs and reachable intervals of all children of a layer at once."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from layernas.search.cost import FactoredCost


@dataclasses.dataclass(frozen=True)
class ChildCosts:
  """Costs of the children of some prefixes, arrays (prefixes, options).

  Attributes:
    cost: of the complete network, undecided layers at their defaults.
    low: smallest cost over all completions.
    high: largest cost over all completions.
  """

  cost: np.ndarray
  low: np.ndarray
  high: np.ndarray


def child_costs(
    model: FactoredCost, prefixes: np.ndarray, decided: Sequence[int],
    layer: int,
) -> ChildCosts:
  """Prices every prefix extended by every option of a layer.

  Args:
    model: cost model.
    prefixes: shape (n, layers): architectures whose undecided layers stand at
      their defaults.
    decided: layers decided before `layer`.
    layer: layer to decide.

  Returns:
    Arrays of shape (n, options of `layer`).
  """
  options = np.arange(model.space.option_counts[layer])[None, :]
  now_decided = frozenset(decided) | {layer}
  # Integers stay so until the first float joins them, as in `model.cost`.
  cost = low = high = np.zeros((len(prefixes), options.size), np.int64)
  for factor in model.factors:
    full = tuple(
        options if scoped == layer else prefixes[:, scoped, None]
        for scoped in factor.scope
    )
    exact = factor.table[full]
    cost = cost + exact
    open_layers = set(factor.scope) - now_decided
    if not open_layers:
      low, high = low + exact, high + exact
      continue
    least, largest = factor.bounds(now_decided)
    if len(open_layers) == len(factor.scope):
      low, high = low + least.item(), high + largest.item()
      continue
    # Undecided axes of the bounds have length one.
    index = tuple(
        choice if scoped in now_decided else np.zeros((1, 1), np.intp)
        for scoped, choice in zip(factor.scope, full, strict=True)
    )
    low = low + least[index]
    high = high + largest[index]
  return ChildCosts(cost, low, high)
