"""Counts of Flax networks, from one trace of their abstract values."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.extend.core import jaxprs_in_params

from layernas.models.network import Network
from layernas.networks.counting import Counts
from layernas.networks.spec import NetworkSpec


def flax_counts(
    spec: NetworkSpec, image_size: int, num_classes: int
) -> Counts:
  """Counts of a whole network, see `traced_counts`."""
  return traced_counts(
      Network(spec, num_classes, depthwise='native'),
      image_size, 3,
  )


def traced_counts(model: nn.Module, size: int, filters: int) -> Counts:
  """Counts without our counter.

  Parameters and statistics are those of the collections; MAdds are those of the
  convolutions and products that a forward pass runs, provided that the
  model's depthwise convolutions are native.

  Args:
    model: called as model(inputs, train=False).
    size: side of its inputs.
    filters: of its inputs.

  Returns:
    Its counts.
  """
  inputs = jax.ShapeDtypeStruct((1, size, size, filters), jnp.float32)
  jaxpr, variables = jax.make_jaxpr(
      lambda inputs: model.init(jax.random.key(0), inputs, train=False),
      return_shape=True,
  )(inputs)
  params, buffers = (
      sum(leaf.size for leaf in jax.tree.leaves(variables.get(name, {})))
      for name in ('params', 'batch_stats')
  )
  return Counts(_madds(jaxpr.jaxpr), params, buffers)


def _madds(jaxpr: Any) -> int:
  """Multiply-adds of the convolutions and products in a jaxpr."""
  madds = 0
  for equation in jaxpr.eqns:
    if equation.primitive.name == 'conv_general_dilated':
      kernel = equation.invars[1].aval.shape
      # The kernel's last axis is the output's filters.
      madds += equation.outvars[0].aval.size * math.prod(kernel[:-1])
    elif equation.primitive.name == 'dot_general':
      (contracted, _), _ = equation.params['dimension_numbers']
      shape = equation.invars[0].aval.shape
      madds += equation.outvars[0].aval.size * math.prod(
          shape[axis] for axis in contracted
      )
    madds += sum(map(_madds, jaxprs_in_params(equation.params)))
  return madds
