"""Initial variables, drawn on the host.

Flax's own init would trace, compile and run the whole network once per
architecture; only the shapes are needed, and NumPy fills them.
"""

import zlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


def initial_variables(
    model: nn.Module, image_size: int, seed: int
) -> dict[str, Any]:
  """Variables before training; see `variable_shapes` and `draw_variables`."""
  return draw_variables(variable_shapes(model, image_size), seed)


def variable_shapes(model: nn.Module, image_size: int) -> dict[str, Any]:
  """Shapes of a network's variables; traces it, compiles nothing.

  Args:
    model: called as model(images, train=False).
    image_size: side of the images.

  Returns:
    'params' and 'batch_stats', trees of `jax.ShapeDtypeStruct`.
  """
  images = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)
  return dict(jax.eval_shape(
      lambda images: model.init(jax.random.key(0), images, train=False), images
  ))


def draw_variables(shapes: dict[str, Any], seed: int) -> dict[str, Any]:
  """Fills shapes with initial values.

  Every leaf has a random stream of its own, keyed by seed and name: a layer
  that two networks share starts from the same numbers in both.

  Args:
    shapes: as of `variable_shapes`.
    seed: any integer >= 0.

  Returns:
    The same tree of float32 NumPy arrays.
  """
  return jax.tree_util.tree_map_with_path(
      lambda path, leaf: _draw(
          [entry.key for entry in path], leaf.shape, seed
      ),
      shapes,
  )


def _draw(path: list[str], shape: tuple[int, ...], seed: int) -> np.ndarray:
  """Initial value of one leaf."""
  if path[-1] in ('scale', 'var'):
    return np.ones(shape, np.float32)
  if path[-1] in ('bias', 'mean'):
    return np.zeros(shape, np.float32)
  key = [seed, zlib.crc32('/'.join(path).encode())]
  rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
  return rng.standard_normal(shape, np.float32) * np.float32(
      _deviation(path[-2], shape)
  )


def _deviation(module: str, shape: tuple[int, ...]) -> float:
  """Standard deviation of a kernel.

  Convolutions: sqrt(2 / fan out) (He et al., 2015, as MnasNet's and
  MobileNetV3's code use it; a depthwise kernel's fan out is k * k). Dense
  layers with a bias: sqrt(1 / fan in) (LeCun, as Flax's default).
  """
  if module in ('classifier', 'hidden', 'reduce', 'gate'):
    return (1.0 / shape[0]) ** 0.5
  fan_out = shape[-1] if len(shape) == 2 else shape[0] * shape[1] * (
      1 if module == 'depthwise' else shape[-1]
  )
  return (2.0 / fan_out) ** 0.5
