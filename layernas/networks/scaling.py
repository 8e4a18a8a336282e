"""A space's default network at the width that a limit allows."""

from collections.abc import Callable
from typing import Any

from layernas.networks.interface import Space
from layernas.networks.network import NetworkLike

# Of the width, when one is looked for.
_STEP = 1e-3

# Widest that is looked at.
_WIDEST = 1024.0


def neighbours_in_width(
    space: Space, enough: Callable[[NetworkLike], bool], reference: Any
) -> tuple[NetworkLike | None, NetworkLike | None]:
  """Two multiples of the default network on both sides of a limit.

  The multiplier is one for all filters, in steps of a thousandth.

  Args:
    space: of the network.
    enough: whether a network is wide enough; true of all that are wider than
      one of which it is true.
    reference: section of a config: `rule`, a key of `reference.WIDTH_RULES`,
      and `divisor`, of which filters are multiples.

  Returns:
    The widest multiple that is not wide enough, None where all are, and the
    narrowest one that is, None where none is; None and None where the space
    cannot scale.
  """
  def scaled(step: int) -> NetworkLike | None:
    return space.default_scaled(
        step * _STEP, reference.rule, reference.divisor
    )

  low, high = 0, 1
  while (network := scaled(high)) is not None and not enough(network):
    low, high = high, 2 * high
    if high * _STEP > _WIDEST:
      return scaled(low), None
  if network is None:
    return None, None
  while high - low > 1:
    middle = (low + high) // 2
    low, high = (low, middle) if enough(scaled(middle)) else (middle, high)
  return scaled(low) if low else None, scaled(high)
