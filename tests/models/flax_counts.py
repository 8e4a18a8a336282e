"""Counts of Flax networks, from one trace of their abstract values."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from layernas.models.network import Network
from layernas.models.traced_counts import count_module
from layernas.networks.counting import Counts
from layernas.networks.spec import NetworkSpec


def flax_counts(
    spec: NetworkSpec, image_size: int, num_classes: int
) -> Counts:
  """Counts of a whole network, see `traced_counts`."""
  return traced_counts(Network(spec, num_classes), image_size, 3)


def traced_counts(model: nn.Module, size: int, filters: int) -> Counts:
  """Counts without the formulas of the specs.

  Args:
    model: called as model(inputs, train=False).
    size: side of its inputs.
    filters: of its inputs.

  Returns:
    Its counts.
  """
  image = jax.ShapeDtypeStruct((size, size, filters), jnp.float32)
  counts = count_module(model, image)
  assert not counts.notes
  statistics = jax.tree.leaves(counts.variables.get('batch_stats', {}))
  return Counts(
      counts.madds, counts.params, sum(leaf.size for leaf in statistics)
  )
