"""Flax modules from specs: of a whole network, or of one part of it alone."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from layernas import lookup
from layernas.models.batch_norm import ACTIVATIONS
from layernas.models.batch_norm import BatchNorm
from layernas.models.convolutions import PointwiseConv
from layernas.models.convolutions import resolve
from layernas.models.initialization import constant
from layernas.models.initialization import conv_kernel
from layernas.models.initialization import dense_kernel
from layernas.networks.network import NetworkLike
from layernas.networks.spec import IMAGE_FILTERS
from layernas.networks.spec import Block
from layernas.networks.spec import Head
from layernas.networks.spec import Module
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem

AXIS = 'devices'
"""Name of the axis over which a network's modules run on several devices."""

DTYPES = {'float32': jnp.float32, 'bfloat16': jnp.bfloat16}
"""Of the computation, by the values of `model.dtype`."""


class Network(nn.Module):
  """A network of a spec.

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
      x = self._block(block, norm, f'block{index}')(x)
    x = self._head(x, norm)
    x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
    return nn.Dense(
        self.num_classes, kernel_init=dense_kernel('classifier'),
        bias_init=constant(0.0, 'classifier', 'bias'), name='classifier',
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
        use_bias=False, dtype=self.dtype, kernel_init=conv_kernel(),
        name='stem',
    )(x)
    return norm(name='stem_norm')(x, stem.activation)

  @nn.nowrap
  def _block(self, block: Block, norm: Any, name: str) -> nn.Module:
    make = lookup.find(f'{block.kind}.flax_module', block.flax_module, {})
    return make(block, norm, self.dtype, self.depthwise, name=name)

  def _head(self, x: jax.Array, norm: Any) -> jax.Array:
    head = self.spec.head
    if head.filters:
      x = PointwiseConv(head.filters, self.dtype, name='head')(x)
      x = norm(name='head_norm')(x, head.activation)
    x = jnp.mean(x, axis=(1, 2))
    if head.hidden:
      x = ACTIVATIONS[head.activation](nn.Dense(
          head.hidden, dtype=self.dtype, kernel_init=dense_kernel(),
          bias_init=constant(0.0, 'bias'), name='hidden',
      )(x))
    return x


def of_config(config: Any, spec: NetworkSpec, num_classes: int) -> Network:
  """The network of a spec as a run's config has it.

  Args:
    config: with sections `model` and `training`.
    spec: its shape.
    num_classes: width of the classifier.

  Returns:
    The module.
  """
  model = config.model
  drops = config.training.epochs >= model.dropout_from_epochs
  return Network(
      spec=spec,
      num_classes=num_classes,
      dtype=DTYPES[model.dtype],
      batch_norm_momentum=model.batch_norm_momentum,
      batch_norm_epsilon=model.batch_norm_epsilon,
      dropout_rate=model.dropout if drops else 0.0,
      axis_name=AXIS if model.sync_batch_norm else None,
      depthwise=model.depthwise,
  )


def example_of(network: NetworkLike, image_size: int) -> Any:
  """What a network is called with for one example.

  Args:
    network: of any kind.
    image_size: side of the images, where it has no task of its own.

  Returns:
    A `jax.ShapeDtypeStruct` without a batch axis, or a tree of them.
  """
  if network.task:
    return network.task.example
  return jax.ShapeDtypeStruct(
      (image_size, image_size, IMAGE_FILTERS), jnp.float32
  )


def create_module(module: Module, **settings: Any) -> Network:
  """Flax module of one part of a network.

  Args:
    module: the part: stem, block or head.
    **settings: attributes of `Network` other than `spec`.

  Returns:
    A module that is called as a whole network is, on what the part receives;
    a block's variables are named 'block0'.
  """
  if module.kind == 'stem':
    return _StemAlone(NetworkSpec(module, (), Head()), **settings)
  if module.kind == 'head':
    return _HeadAlone(NetworkSpec(Stem(), (), module), **settings)
  return _BlockAlone(NetworkSpec(Stem(), (module,), Head()), **settings)


class _StemAlone(Network):
  """The stem; receives images."""

  @nn.compact
  def __call__(self, images: jax.Array, train: bool) -> jax.Array:
    return self._stem(images.astype(self.dtype), self._norm(train))


class _BlockAlone(Network):
  """The only block; receives features."""

  @nn.compact
  def __call__(self, x: jax.Array, train: bool) -> jax.Array:
    [block] = self.spec.blocks
    return self._block(block, self._norm(train), 'block0')(x)


class _HeadAlone(Network):
  """A network whose stem passes on what it receives: features."""

  def _stem(self, x: jax.Array, norm: Any) -> jax.Array:
    del norm
    return x
