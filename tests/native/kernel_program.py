"""A program whose processes tests compare; prints a hash of a training's bits.

Its only argument is the number of devices.
"""

import hashlib
import sys

import jax
import jax.numpy as jnp
import numpy as np

from layernas.models.batch_norm import BatchNorm
from layernas.models.depthwise import depthwise_conv


def main() -> None:
  """Runs a convolution with batch norm and all its gradients on devices."""
  devices = int(sys.argv[1]) if len(sys.argv) > 1 else 1
  jax.config.update('jax_num_cpu_devices', devices)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)
  rng = np.random.default_rng(0)
  inputs = rng.standard_normal((8, 21, 21, 40), np.float32)
  kernel = rng.standard_normal((5, 5, 1, 40), np.float32)
  norm = BatchNorm(False, 0.9, 1e-3, axis_name='devices', compiled=True)
  variables = {
      'params': {'scale': np.ones(40), 'bias': np.zeros(40)},
      'batch_stats': {'mean': np.zeros(40), 'var': np.ones(40)},
  }
  variables = jax.tree.map(np.float32, variables)

  def loss(kernel: jax.Array, inputs: jax.Array) -> jax.Array:
    x = depthwise_conv(inputs, kernel, 2, 'compiled')
    y, _ = norm.apply(variables, x, 'hard_swish', mutable=['batch_stats'])
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
