"""Flax modules of blocks, which the specs of block types name."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from layernas.models.batch_norm import ACTIVATIONS
from layernas.models.batch_norm import GATES
from layernas.models.convolutions import DepthwiseConv
from layernas.models.convolutions import PointwiseConv
from layernas.models.initialization import constant
from layernas.models.initialization import dense_kernel
from layernas.models.normed_depthwise import is_fused
from layernas.models.normed_depthwise import normed_depthwise
from layernas.networks.spec import Block
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import Squeeze


class BlockModule(nn.Module):
  """Base of the modules that block types name; called on features alone.

  Parameters may use an initialiser of `layernas.models.initialization`, which
  declares their kind, or any other.

  Attributes:
    spec: the block.
    norm: makes a batch norm module: norm(name=...)(features, activation).
    dtype: type of the computation.
    depthwise: implementation of a depthwise convolution.
  """

  spec: Block
  norm: Callable[..., nn.Module]
  dtype: Any
  depthwise: str = 'auto'

  @staticmethod
  def infer(spec: Block, layers: Any, x: Any) -> Any:
    """Adds the block to an inference graph, batch norm folded.

    Args:
      spec: the block.
      layers: a `layernas.export.graph.Layers` with the block's variables.
      x: input of the block in the graph.

    Returns:
      The block's output in the graph.

    Raises:
      NotImplementedError: the block type has no inference graph; its networks
        can only be exported as StableHLO.
    """
    raise NotImplementedError


class SqueezeExcite(nn.Module):
  """Scales every filter by a gate computed from all filters' means.

  Attributes:
    spec: gate and activation.
    units: number of squeeze filters.
    dtype: type of the computation.
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
    return nn.Dense(
        units, dtype=self.dtype, kernel_init=dense_kernel(),
        bias_init=constant(0.0, 'bias'), name=name,
    )


class InvertedResidualModule(BlockModule):
  """Flax module of an inverted residual; see its spec."""

  spec: InvertedResidual

  @staticmethod
  def infer(spec: InvertedResidual, layers: Any, x: Any) -> Any:
    """See `BlockModule`."""
    y = x
    if spec.expanded:
      y = layers.normed_conv(y, 'expand', activation=spec.activation)
    y = layers.normed_conv(
        y, 'depthwise', spec.stride, spec.activation, depthwise=True
    )
    if spec.squeeze:
      gate = layers.mean(y)
      gate = layers.conv(gate, 'squeeze/reduce', spec.squeeze.activation)
      gate = layers.conv(gate, 'squeeze/gate', spec.squeeze.gate)
      y = layers.multiply(y, gate)
    y = layers.normed_conv(y, 'project')
    return layers.add(x, y) if spec.has_residual(x.filters) else y

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    spec = self.spec
    filters = spec.depthwise_filters(x.shape[-1])
    y = x
    if spec.expanded:
      y = self._pointwise(filters, 'expand')(y)
    y = self._depthwise(y)
    if spec.squeeze:
      units = spec.squeeze.filters(x.shape[-1], filters)
      y = SqueezeExcite(spec.squeeze, units, self.dtype, name='squeeze')(y)
    y = self._pointwise(spec.filters, 'project')(y)
    y = self.norm(name='project_norm')(y)
    return x + y if spec.has_residual(x.shape[-1]) else y

  @nn.nowrap
  def _depthwise(self, x: jax.Array) -> jax.Array:
    """The depthwise convolution and the norms on both sides."""
    spec = self.spec
    norm = self.norm(name='depthwise_norm')
    conv = DepthwiseConv(
        spec.kernel, spec.stride, self.dtype, self.depthwise, name='depthwise'
    )
    if spec.expanded:
      first = self.norm(name='expand_norm')
      how = spec.stride, spec.activation
      if is_fused(x, first, spec.kernel, *how):
        kernel = conv.kernel(x.shape[-1])
        return normed_depthwise(x, first, kernel, norm, *how)
      x = first(x, spec.activation)
    return norm(conv(x), spec.activation)

  def _pointwise(self, filters: int, name: str) -> nn.Module:
    return PointwiseConv(filters, self.dtype, name=name)
