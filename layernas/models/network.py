"""The one network builder: Flax modules from a NetworkSpec."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from layernas.models.blocks import ACTIVATIONS
from layernas.models.blocks import NO_INIT
from layernas.models.blocks import InvertedResidual
from layernas.networks.spec import NetworkSpec


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
  """

  spec: NetworkSpec
  num_classes: int
  dtype: Any = jnp.float32
  batch_norm_momentum: float = 0.99
  batch_norm_epsilon: float = 1e-3
  dropout_rate: float = 0.0
  axis_name: str | None = None

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> jax.Array:
    """Logits of images.

    Args:
      images: shape (batch, side, side, 3).
      train: normalise by this batch, update the averages, drop out.

    Returns:
      float32, shape (batch, classes).
    """
    norm = functools.partial(
        nn.BatchNorm,
        use_running_average=not train,
        momentum=self.batch_norm_momentum,
        epsilon=self.batch_norm_epsilon,
        dtype=self.dtype,
        axis_name=self.axis_name,
    )
    x = self._stem(images.astype(self.dtype), norm)
    for index, block in enumerate(self.spec.blocks):
      x = InvertedResidual(block, norm, self.dtype, name=f'block{index}')(x)
    x = self._head(x, norm)
    x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
    return nn.Dense(
        self.num_classes, kernel_init=NO_INIT, name='classifier'
    )(x.astype(jnp.float32))

  def _stem(self, x: jax.Array, norm: Any) -> jax.Array:
    stem = self.spec.stem
    x = nn.Conv(
        stem.filters, (stem.kernel, stem.kernel), (stem.stride, stem.stride),
        use_bias=False, dtype=self.dtype, kernel_init=NO_INIT, name='stem',
    )(x)
    return ACTIVATIONS[stem.activation](norm(name='stem_norm')(x))

  def _head(self, x: jax.Array, norm: Any) -> jax.Array:
    head = self.spec.head
    activation = ACTIVATIONS[head.activation]
    if head.filters:
      x = nn.Dense(
          head.filters, use_bias=False, dtype=self.dtype,
          kernel_init=NO_INIT, name='head',
      )(x)
      x = activation(norm(name='head_norm')(x))
    x = jnp.mean(x, axis=(1, 2))
    if head.hidden:
      x = activation(nn.Dense(
          head.hidden, dtype=self.dtype, kernel_init=NO_INIT, name='hidden'
      )(x))
    return x
