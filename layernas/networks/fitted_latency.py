"""Latency of networks that have no modules to time, fitted to whole networks.

The milliseconds of some networks are explained by a constant, by multiply-adds
and by what each option adds beside them. What the options add is held small, as
much as predicts left-out networks best (ridge regression; Hoerl and Kennard,
Technometrics 12, 1970).
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from layernas.errors import UserError
from layernas.search.cost import Cost
from layernas.search.cost import Factor
from layernas.search.cost import FactoredCost
from layernas.search.space import Architecture
from layernas.search.space import SearchSpace

# Strengths of the ridge that are tried, beside a share of the options' columns
# of one: from free to none.
_STRENGTHS = 10.0 ** np.arange(-4, 4.5, 0.5)


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
  """Latencies as a function of the architecture.

  Attributes:
    factors: whose sum it is, in milliseconds.
    left_out: what is predicted of each network that was timed, in order, by a
      fit to the others, in milliseconds.
  """

  factors: tuple[Factor, ...]
  left_out: np.ndarray

  def cost(self, name: str, space: SearchSpace) -> FactoredCost:
    """The cost, for searches.

    Args:
      name: of the cost.
      space: of the networks.

    Returns:
      One of milliseconds, whose reachable intervals are sound.
    """
    return FactoredCost(name, space, self.factors, 'ms')


def fit_latency(
    space: SearchSpace, work: Cost, table: Mapping[Architecture, float]
) -> Fit:
  """Fits the latencies of networks; errors count relative to them.

  Args:
    space: of the networks.
    work: their multiply-adds; left out where they do not factor.
    table: milliseconds, above 0, of architectures of the space.

  Returns:
    The fit.

  Raises:
    UserError: an option is in none of the networks, or there are fewer than
      three.
  """
  architectures = np.array(list(table))
  milliseconds = np.array(list(table.values()))
  _check_options(space, architectures)
  terms = work.factors if isinstance(work, FactoredCost) else ()
  scale = 1.0
  columns = [np.ones(len(architectures))]
  if terms:
    amounts = work.costs(architectures).astype(float)
    scale = max(np.abs(amounts).mean(), 1.0)
    columns.append(amounts / scale)
  free = len(columns)
  options = [
      (layer, option) for layer, count in enumerate(space.option_counts)
      for option in range(count) if count > 1
  ]
  columns += [architectures[:, layer] == option for layer, option in options]
  # Each row divided by its latency: errors are relative.
  rows = np.stack(columns, axis=1) / milliseconds[:, None]
  unit = milliseconds.mean()
  coefficients, left_out = _ridge(rows * unit, free)
  coefficients = coefficients * unit
  factors = {(): np.array(coefficients[0])}
  for factor in terms:
    factors[factor.scope] = factors.get(factor.scope, 0) + (
        factor.table * (coefficients[1] / scale)
    )
  for layer, count in enumerate(space.option_counts):
    own = np.zeros(count)
    for place, (of, option) in enumerate(options):
      if of == layer:
        own[option] = coefficients[free + place]
    _add(factors, layer, own)
  return Fit(
      tuple(Factor(scope, values) for scope, values in factors.items()),
      left_out * milliseconds,
  )


def _add(
    factors: dict[tuple[int, ...], np.ndarray], layer: int, own: np.ndarray
) -> None:
  """Adds effects to a factor that holds their layer: bounds are tighter."""
  holding = [scope for scope in factors if layer in scope]
  if not holding:
    factors[layer,] = own
    return
  scope = min(holding, key=len)
  shape = [1] * len(scope)
  shape[scope.index(layer)] = len(own)
  factors[scope] = factors[scope] + own.reshape(shape)


def _ridge(rows: np.ndarray, free: int) -> tuple[np.ndarray, np.ndarray]:
  """Least squares of ones, with the strength that predicts left-out rows best.

  Args:
    rows: a row for each network.
    free: of the columns, those first ones that are not held small.

  Returns:
    Coefficients, and the predictions of left-out rows.
  """
  wanted = np.ones(len(rows))
  best = None
  for strength in _STRENGTHS:
    held = np.full(rows.shape[1], strength)
    # Two networks may have equally many multiply-adds.
    held[:free] = 1e-9
    inverse = np.linalg.inv(rows.T @ rows + np.diag(held))
    coefficients = inverse @ rows.T @ wanted
    leverage = np.einsum('ij,jk,ik->i', rows, inverse, rows)
    errors = (wanted - rows @ coefficients) / np.maximum(1 - leverage, 1e-9)
    total = float((errors**2).sum())
    if best is None or total < best[0]:
      best = total, coefficients, wanted - errors
  return best[1], best[2]


def _check_options(space: SearchSpace, architectures: np.ndarray) -> None:
  """Raises UserError unless every option is in some network."""
  if len(architectures) < 3:
    raise UserError(
        f'latencies of {len(architectures)} networks: allowed are three at'
        ' least'
    )
  for index, layer in enumerate(space.layers):
    seen = set(architectures[:, index].tolist())
    for option in range(len(layer.options)):
      if option not in seen:
        raise UserError(
            f'latencies of networks: none has option {option} of layer'
            f' {layer.name!r}; allowed is a table with every option'
        )
