"""A training step as Flax's ImageNet example has it, for comparison.

Plain modules of Flax and XLA's own convolutions, jitted over the devices of
this process, the batch split over them. The state is consumed. Cross-entropy
with half the squared norm of all kernels, SGD with Nesterov momentum.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training import train_state
from jax.sharding import Mesh
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec

from layernas.models.network import DTYPES
from layernas.networks.spec import InvertedResidual
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Squeeze
from tools.perf.train_step import Case

_RATE, _MOMENTUM, _DECAY = 1e-3, 0.9, 1e-4


class PlainNetwork(nn.Module):
  """A MobileNet-style network as one writes it in Flax.

  Attributes:
    spec: its specification.
    num_classes: width of the classifier.
    dtype: of the computation; parameters and logits are float32.
    momentum: share of batch norm's old averages kept in a step.
    epsilon: added to batch norm's variance.
  """

  spec: NetworkSpec
  num_classes: int
  dtype: Any = jnp.float32
  momentum: float = 0.9
  epsilon: float = 1e-3

  @nn.compact
  def __call__(self, images: jax.Array, train: bool = True) -> jax.Array:
    """Logits of images (batch, side, side, 3)."""
    conv = functools.partial(nn.Conv, use_bias=False, dtype=self.dtype)
    norm = functools.partial(
        nn.BatchNorm, use_running_average=not train, momentum=self.momentum,
        epsilon=self.epsilon, dtype=self.dtype,
    )
    stem, head = self.spec.stem, self.spec.head
    x = conv(stem.filters, (stem.kernel,) * 2, (stem.stride,) * 2)(images)
    x = getattr(nn, stem.activation)(norm()(x))
    for block in self.spec.blocks:
      x = self._block(block, x, conv, norm)
    activation = getattr(nn, head.activation)
    if head.filters:
      x = activation(norm()(conv(head.filters, (1, 1))(x)))
    x = x.mean((1, 2))
    if head.hidden:
      x = activation(nn.Dense(head.hidden, dtype=self.dtype)(x))
    return nn.Dense(self.num_classes)(x.astype(jnp.float32))

  def _block(
      self, block: InvertedResidual, x: jax.Array, conv: Any, norm: Any
  ) -> jax.Array:
    inputs = x.shape[-1]
    filters = block.depthwise_filters(inputs)
    activation = getattr(nn, block.activation)
    y = x
    if block.expanded:
      y = activation(norm()(conv(filters, (1, 1))(y)))
    y = activation(norm()(conv(
        filters, (block.kernel,) * 2, (block.stride,) * 2,
        feature_group_count=filters,
    )(y)))
    if block.squeeze:
      y = self._squeezed(block.squeeze, y, inputs)
    y = norm()(conv(block.filters, (1, 1))(y))
    return x + y if block.has_residual(inputs) else y

  def _squeezed(
      self, squeeze: Squeeze, x: jax.Array, inputs: int
  ) -> jax.Array:
    units = squeeze.filters(inputs, x.shape[-1])
    y = nn.Dense(units, dtype=self.dtype)(x.mean((1, 2), keepdims=True))
    y = getattr(nn, squeeze.activation)(y)
    gate = getattr(nn, squeeze.gate)
    return x * gate(nn.Dense(x.shape[-1], dtype=self.dtype)(y))


class _TrainState(train_state.TrainState):
  batch_stats: Any


class FlaxStep:
  """A compiled training step and its state.

  Attributes:
    seconds: of tracing and lowering, and of compiling.
    state: that of the last step.
    metrics: of the last step, on the devices.
  """

  def __init__(self, case: Case):
    """Compiles the step.

    Args:
      case: network, batch, and the config's section model; the optimiser is
        always SGD.
    """
    model = PlainNetwork(
        case.network, case.classes, DTYPES[case.config.model.dtype],
        case.config.model.batch_norm_momentum,
        case.config.model.batch_norm_epsilon,
    )
    mesh = Mesh(jax.local_devices(), ('batch',))
    split = NamedSharding(mesh, PartitionSpec('batch'))
    whole = NamedSharding(mesh, PartitionSpec())
    batch = case.data()
    side = case.image_size

    def fresh() -> _TrainState:
      image = jnp.zeros((1, side, side, 3))
      variables = model.init(jax.random.key(0), image)
      return _TrainState.create(
          apply_fn=model.apply, tx=optax.sgd(_RATE, _MOMENTUM, nesterov=True),
          **variables,
      )

    self.state = jax.jit(fresh, out_shardings=whole)()
    self._batch = jax.device_put(
        {name: batch[name] for name in ('image', 'label')}, split
    )
    step = jax.jit(
        train_step, donate_argnums=0, in_shardings=(whole, split),
        out_shardings=(whole, whole),
    )
    begun = time.perf_counter()
    lowered = step.lower(self.state, self._batch)
    compiled_from = time.perf_counter()
    self._program: Callable[..., Any] = lowered.compile()
    self.seconds = {
        'trace_and_lower': compiled_from - begun,
        'compile': time.perf_counter() - compiled_from,
    }

  def begin(self) -> None:
    """Runs a step, on accelerators without waiting for it."""
    self.state, self.metrics = self._program(self.state, self._batch)


def train_step(
    state: _TrainState, batch: dict[str, jax.Array]
) -> tuple[_TrainState, dict[str, jax.Array]]:
  """One step.

  Args:
    state: before it.
    batch: 'image' (batch, side, side, 3) and 'label' (batch,).

  Returns:
    The state after it; 'loss' and 'accuracy', means over the batch.
  """
  def loss_of(params: Any) -> tuple[jax.Array, Any]:
    logits, updated = state.apply_fn(
        {'params': params, 'batch_stats': state.batch_stats}, batch['image'],
        mutable=['batch_stats'],
    )
    targets = jax.nn.one_hot(batch['label'], logits.shape[-1])
    loss = optax.softmax_cross_entropy(logits, targets).mean()
    norm = sum(
        jnp.sum(leaf**2) for leaf in jax.tree.leaves(params) if leaf.ndim > 1
    )
    return loss + 0.5 * _DECAY * norm, (updated['batch_stats'], logits, loss)

  gradient = jax.grad(loss_of, has_aux=True)
  gradients, (batch_stats, logits, loss) = gradient(state.params)
  hits = logits.argmax(-1) == batch['label']
  return (
      state.apply_gradients(grads=gradients, batch_stats=batch_stats),
      {'loss': loss, 'accuracy': hits.astype(np.float32).mean()},
  )
