"""The one network builder: Flax modules from a NetworkSpec.

Stem, block or head alone, computing what it computes inside a network.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from layernas.models.batch_norm import ACTIVATIONS
from layernas.models.batch_norm import BatchNorm
from layernas.models.blocks import NO_INIT
from layernas.models.blocks import InvertedResidual
from layernas.models.convolutions import PointwiseConv
from layernas.models.convolutions import resolve
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem


class InvertedResidualNetwork(nn.Module):
  """A MobileNet-style network.

  Attributes:
    spec: its shape.
    num_classes: width of the classifier.
    dtype: of the computation; parameters and logits are float32.
    batch_norm_momentum: share of the old running average kept in a step.
    batch_norm_epsilon: 1e-3 in MobileNetV3 and MnasNet.
    dropout_rate: before the classifier.
    axis_name: pmapped axis over which batch norm averages its statistics, or
      None: each device normalises by its own images.
    depthwise: implementation of the depthwise convolution, see
      `layernas.models.convolutions.resolve`; where that is 'compiled', batch
      norm and its activation are compiled too.
  """

  spec: NetworkSpec
  num_classes: int
  dtype: Any = jnp.float32
  batch_norm_momentum: float = 0.99
  batch_norm_epsilon: float = 1e-3
  dropout_rate: float = 0.0
  axis_name: str | None = None
  depthwise: str = 'auto'

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> jax.Array:
    """Logits of images.

    Args:
      images: shape (batch, side, side, 3).
      train: normalise by this batch, update the averages, drop out.

    Returns:
      float32, shape (batch, classes).
    """
    norm = self._norm(train)
    x = self._stem(images.astype(self.dtype), norm)
    for index, block in enumerate(self.spec.blocks):
      x = InvertedResidual(
          block, norm, self.dtype, self.depthwise, name=f'block{index}'
      )(x)
    x = self._head(x, norm)
    x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
    return nn.Dense(
        self.num_classes, kernel_init=NO_INIT, name='classifier'
    )(x.astype(jnp.float32))

  def _norm(self, train: bool) -> Callable[..., nn.Module]:
    """Makes batch norm modules."""
    return functools.partial(
        BatchNorm,
        use_running_average=not train,
        momentum=self.batch_norm_momentum,
        epsilon=self.batch_norm_epsilon,
        dtype=self.dtype,
        axis_name=self.axis_name,
        compiled=resolve(self.depthwise) == 'compiled',
    )

  def _stem(self, x: jax.Array, norm: Any) -> jax.Array:
    stem = self.spec.stem
    x = nn.Conv(
        stem.filters, (stem.kernel, stem.kernel), (stem.stride, stem.stride),
        use_bias=False, dtype=self.dtype, kernel_init=NO_INIT, name='stem',
    )(x)
    return norm(name='stem_norm')(x, stem.activation)

  def _head(self, x: jax.Array, norm: Any) -> jax.Array:
    head = self.spec.head
    if head.filters:
      x = PointwiseConv(head.filters, self.dtype, NO_INIT, name='head')(x)
      x = norm(name='head_norm')(x, head.activation)
    x = jnp.mean(x, axis=(1, 2))
    if head.hidden:
      x = ACTIVATIONS[head.activation](nn.Dense(
          head.hidden, dtype=self.dtype, kernel_init=NO_INIT, name='hidden'
      )(x))
    return x


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
