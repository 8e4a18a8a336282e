"""Times modules and whole networks as a config runs them, inference only."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from layernas.experiment.stopwatch import Stopwatch
from layernas.experiment.stopwatch import Timing
from layernas.models.modules import create_module
from layernas.networks.signature import IMAGE_FILTERS
from layernas.networks.signature import PlacedModule
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem
from layernas.training.checks import DTYPES
from layernas.training.programs import create_model


class ForwardTimer:
  """Times one forward pass of a module or of a network, on one device."""

  def __init__(
      self, config: Any, image_size: int, num_classes: int,
      stopwatch: Stopwatch,
  ):
    """Prepares.

    Args:
      config: with sections `model` and `latency` (batch_size).
      image_size: side of the images of whole networks.
      num_classes: width of the classifier.
      stopwatch: that times.
    """
    self._config = config
    self._image_size = image_size
    self._num_classes = num_classes
    self._stopwatch = stopwatch

  def __call__(self, what: PlacedModule | NetworkSpec) -> Timing:
    """Times a module or a network."""
    model, inputs = (
        self._network(what) if isinstance(what, NetworkSpec)
        else self._module(what)
    )
    return self._stopwatch.passes(
        lambda variables, x: model.apply(variables, x, train=False),
        random_variables(model, inputs),
        inputs,
    )

  def _network(self, network: NetworkSpec) -> tuple[nn.Module, jax.Array]:
    model = create_model(self._config, network, self._num_classes)
    return model, self._inputs(self._image_size, IMAGE_FILTERS, jnp.float32)

  def _module(self, placed: PlacedModule) -> tuple[nn.Module, jax.Array]:
    dtype = DTYPES[self._config.model.dtype]
    model = create_module(
        placed.module,
        num_classes=self._num_classes,
        dtype=dtype,
        batch_norm_epsilon=self._config.model.batch_norm_epsilon,
        depthwise=self._config.model.depthwise,
    )
    # Images come as float32, features as the module before computes them.
    kind = jnp.float32 if isinstance(placed.module, Stem) else dtype
    return model, self._inputs(placed.size, placed.input_filters, kind)

  def _inputs(self, size: int, filters: int, dtype: Any) -> jax.Array:
    shape = (self._config.latency.batch_size, size, size, filters)
    values = np.random.default_rng(0).standard_normal(shape, np.float32)
    return jnp.asarray(values, dtype)


def random_variables(model: nn.Module, inputs: jax.Array) -> dict[str, Any]:
  """Variables of ordinary size: no output is denormal or infinite.

  Args:
    model: called as model(inputs, train=False).
    inputs: what it receives.

  Returns:
    Its collections, float32 NumPy arrays; kernels are normal with deviation
    sqrt(1 / fan in), all else is one.
  """
  shapes = jax.eval_shape(
      lambda x: model.init(jax.random.key(0), x, train=False), inputs
  )
  rng = np.random.default_rng(0)

  def draw(path: Any, leaf: Any) -> np.ndarray:
    if path[-1].key != 'kernel':
      return np.ones(leaf.shape, np.float32)
    kernel = rng.standard_normal(leaf.shape, np.float32)
    return kernel / np.float32(np.sqrt(np.prod(leaf.shape[:-1])))

  return jax.tree_util.tree_map_with_path(draw, dict(shapes))
