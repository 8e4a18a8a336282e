"""Modules that networks are made of."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from layernas.models.depthwise import depthwise_conv
from layernas.networks.spec import Block
from layernas.networks.spec import Squeeze


def hard_sigmoid(x: jax.Array) -> jax.Array:
  """relu6(x + 3) / 6 (MobileNetV3, section 5.2)."""
  return nn.relu6(x + 3.0) / 6.0


def hard_swish(x: jax.Array) -> jax.Array:
  """x * relu6(x + 3) / 6 (MobileNetV3, section 5.2)."""
  return x * hard_sigmoid(x)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'relu': nn.relu,
    'relu6': nn.relu6,
    'hard_swish': hard_swish,
    'swish': nn.swish,
}

GATES: dict[str, Callable[[jax.Array], jax.Array]] = {
    'hard_sigmoid': hard_sigmoid,
    'sigmoid': nn.sigmoid,
}


# Only the shapes of `init` are used (layernas.models.initialization), and zeros
# are traced fastest.
NO_INIT = nn.initializers.zeros_init()


class DepthwiseConv(nn.Module):
  """Depthwise convolution without bias, SAME padding.

  Attributes:
    kernel_size: side of the kernel.
    stride: in both directions.
    dtype: of the computation.
  """

  kernel_size: int
  stride: int
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    side = self.kernel_size
    kernel = self.param(
        'kernel', NO_INIT, (side, side, 1, x.shape[-1])
    )
    return depthwise_conv(
        x.astype(self.dtype), kernel.astype(self.dtype), self.stride
    )


class SqueezeExcite(nn.Module):
  """Scales every filter by a gate computed from all filters' means.

  Attributes:
    spec: which gate, which activation.
    units: squeeze filters.
    dtype: of the computation.
  """

  spec: Squeeze
  units: int
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    filters = x.shape[-1]
    y = jnp.mean(x, axis=(1, 2), keepdims=True)
    y = self._dense(self.units, 'reduce')(y)
    y = ACTIVATIONS[self.spec.activation](y)
    y = self._dense(filters, 'gate')(y)
    return x * GATES[self.spec.gate](y)

  def _dense(self, units: int, name: str) -> nn.Module:
    return nn.Dense(units, dtype=self.dtype, kernel_init=NO_INIT, name=name)


class InvertedResidual(nn.Module):
  """One block of a network.

  Attributes:
    spec: the block.
    norm: makes a batch norm module.
    dtype: of the computation.
  """

  spec: Block
  norm: Callable[..., nn.Module]
  dtype: Any

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    spec = self.spec
    activation = ACTIVATIONS[spec.activation]
    filters = spec.depthwise_filters(x.shape[-1])
    y = x
    if spec.expanded:
      y = self._pointwise(filters, 'expand')(y)
      y = activation(self.norm(name='expand_norm')(y))
    y = DepthwiseConv(
        spec.kernel, spec.stride, self.dtype, name='depthwise'
    )(y)
    y = activation(self.norm(name='depthwise_norm')(y))
    if spec.squeeze:
      units = spec.squeeze.filters(x.shape[-1], filters)
      y = SqueezeExcite(spec.squeeze, units, self.dtype, name='squeeze')(y)
    y = self._pointwise(spec.filters, 'project')(y)
    y = self.norm(name='project_norm')(y)
    return x + y if spec.has_residual(x.shape[-1]) else y

  def _pointwise(self, filters: int, name: str) -> nn.Module:
    """A 1x1 convolution, which is a matrix product over the filters."""
    return nn.Dense(
        filters, use_bias=False, dtype=self.dtype, kernel_init=NO_INIT,
        name=name,
    )
