"""Activations and gates by the names that a NetworkSpec gives them."""

from collections.abc import Callable

import flax.linen as nn
import jax


def hard_sigmoid(x: jax.Array) -> jax.Array:
  """relu6(x + 3) / 6 (MobileNetV3, section 5.2)."""
  return nn.relu6(x + 3.0) / 6.0


def hard_swish(x: jax.Array) -> jax.Array:
  """x * relu6(x + 3) / 6 (MobileNetV3, section 5.2)."""
  return x * hard_sigmoid(x)


def identity(x: jax.Array) -> jax.Array:
  """x, where a network has no activation."""
  return x


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'relu': nn.relu,
    'relu6': nn.relu6,
    'hard_swish': hard_swish,
    'swish': nn.swish,
    '': identity,
}
"""'' is none."""

GATES: dict[str, Callable[[jax.Array], jax.Array]] = {
    'hard_sigmoid': hard_sigmoid,
    'sigmoid': nn.sigmoid,
}
