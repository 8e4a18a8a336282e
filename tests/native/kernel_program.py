"""A program whose processes tests compare; prints a hash of a training's bits.

Its only argument is the number of devices.
"""

import hashlib
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from layernas.models.batch_norm import BatchNorm
from layernas.models.convolutions import depthwise_conv
from layernas.models.normed_depthwise import is_fused
from layernas.models.normed_depthwise import normed_depthwise


class _Norms(nn.Module):
  """All kernels of features: with norms apart and fused."""

  @nn.compact
  def __call__(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
    before, first, second = (
        BatchNorm(
            False, 0.9, 1e-3, axis_name='devices', compiled=True, name=name
        )
        for name in ('before', 'first', 'second')
    )
    x = before(depthwise_conv(x, kernel, 1, 'compiled'), 'hard_swish')
    assert is_fused(x, first, 5, 2, 'hard_swish')
    return normed_depthwise(x, first, kernel, second, 2, 'hard_swish')


def main() -> None:
  """Runs a convolution with batch norm and all its gradients on devices."""
  devices = int(sys.argv[1]) if len(sys.argv) > 1 else 1
  jax.config.update('jax_num_cpu_devices', devices)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)
  rng = np.random.default_rng(0)
  inputs = rng.standard_normal((8, 21, 21, 40), np.float32)
  kernel = rng.standard_normal((5, 5, 1, 40), np.float32)
  norms = _Norms()
  # Nothing but the step is compiled: a test counts what the cache holds.
  shapes = jax.eval_shape(
      lambda: norms.init(jax.random.key(0), inputs, kernel)
  )
  variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)

  def loss(kernel: jax.Array, inputs: jax.Array) -> jax.Array:
    y, _ = norms.apply(variables, inputs, kernel, mutable=['batch_stats'])
    return jnp.sum(y * jnp.cos(y))

  step = jax.pmap(
      jax.value_and_grad(loss, (0, 1)), axis_name='devices', in_axes=(None, 0)
  )
  result = step(kernel, inputs.reshape(devices, -1, *inputs.shape[1:]))
  for _ in range(20):
    again = step(kernel, inputs.reshape(devices, -1, *inputs.shape[1:]))
    jax.block_until_ready(again)
    assert all(map(np.array_equal, *map(jax.tree.leaves, (result, again))))
  _, gradients = result
  total = [np.sum(np.asarray(gradients[0]), 0), np.asarray(gradients[1])]
  print(f'sum {np.float64(np.abs(total[0]).sum()):.3f}')
  digest = hashlib.sha256(b''.join(leaf.tobytes() for leaf in total))
  print('bits', digest.hexdigest())


if __name__ == '__main__':
  main()
