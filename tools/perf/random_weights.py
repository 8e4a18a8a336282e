"""Random weights of ordinary size, for what needs no trained network."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np

from layernas.latency.stopwatch import random_variables


def random_weights(
    model: nn.Module, side: int, seed: int = 0
) -> dict[str, Any]:
  """Variables of a network no norm of which is the identity.

  Args:
    model: called as model(images, train=False).
    side: of its images, which have three channels.
    seed: of what is added to `random_variables`.

  Returns:
    Its collections, float32 arrays of NumPy.
  """
  rng = np.random.default_rng(seed)

  def spread(leaf: np.ndarray) -> np.ndarray:
    factor = rng.uniform(0.7, 1.3, leaf.shape)
    shift = rng.normal(0, 0.1, leaf.shape) if leaf.ndim < 2 else 0
    return (leaf * factor + shift).astype(np.float32)

  images = np.zeros((1, side, side, 3), np.float32)
  return jax.tree.map(spread, random_variables(model, images))
