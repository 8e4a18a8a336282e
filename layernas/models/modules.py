"""Stem, block or head alone, computing what it computes inside a network."""

from typing import Any

import flax.linen as nn
import jax

from layernas.models.blocks import InvertedResidual
from layernas.models.network import InvertedResidualNetwork
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem


def create_module(
    module: Stem | Block | Head, **settings: Any
) -> InvertedResidualNetwork:
  """Flax module of one part of a network.

  Args:
    module: the part.
    **settings: attributes of `InvertedResidualNetwork` other than `spec`.

  Returns:
    A module that is called as a whole network is, on what the part receives;
    a block's variables are named 'block0'.
  """
  if isinstance(module, Stem):
    return _StemAlone(NetworkSpec(module, (), Head()), **settings)
  if isinstance(module, Block):
    return _BlockAlone(NetworkSpec(Stem(), (module,), Head()), **settings)
  return _HeadAlone(NetworkSpec(Stem(), (), module), **settings)


class _StemAlone(InvertedResidualNetwork):
  """The stem; receives images."""

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> jax.Array:
    return self._stem(images.astype(self.dtype), self._norm(train))


class _BlockAlone(InvertedResidualNetwork):
  """The only block; receives features."""

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    [block] = self.spec.blocks
    return InvertedResidual(
        block, self._norm(train), self.dtype, self.depthwise, name='block0'
    )(x)


class _HeadAlone(InvertedResidualNetwork):
  """A network whose stem passes on what it receives: features."""

  def _stem(self, x: jax.Array, norm: Any) -> jax.Array:
    del norm
    return x
