"""Flax modules of the user's own: built, checked, counted and told apart.

They come from a `layernas.networks.flax_space.FlaxSpace`, which imports no JAX.
"""

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from layernas import lookup
from layernas.errors import UserError
from layernas.models.network import example_of
from layernas.models.traced_counts import ModuleCounts
from layernas.models.traced_counts import arguments
from layernas.models.traced_counts import count_first_pass
from layernas.models.traced_counts import count_module
from layernas.networks.counting import Counts
from layernas.networks.flax_space import FlaxNetwork

Count = Callable[[nn.Module, Any], ModuleCounts]
"""`count_module` or `count_first_pass`."""

# Addresses in texts of functions: others in every process.
_ADDRESS = re.compile(r' at 0x[0-9a-f]+')


def of_config(
    config: Any, network: FlaxNetwork, num_classes: int
) -> nn.Module:
  """The module of a network; a run's section `model` does not change it.

  Args:
    config: of the run.
    network: of a `FlaxSpace`.
    num_classes: width of the classifier.

  Returns:
    The module.

  Raises:
    UserError: it cannot be built, or is none that can be trained.
  """
  del config
  return _module(network, num_classes)


def counted(
    network: FlaxNetwork, image_size: int, num_classes: int,
    first_pass: bool = False,
) -> Counts:
  """Exact counts of a network.

  Args:
    network: of a `FlaxSpace`.
    image_size: side of its RGB images.
    num_classes: width of the classifier.
    first_pass: whether to count the pass that `init` makes, which takes half
      the time, see `count_first_pass`.

  Returns:
    Its counts; buffers are the numbers of all collections but the parameters.

  Raises:
    UserError: it cannot be built, traced or counted, or its output is not what
      is trained; the message names its choices.
  """
  module = _module(network, num_classes)
  with lookup.blamed(f'space: network {network}', network.space.build):
    try:
      found = _traced(
          module, *_example(network, image_size),
          count_first_pass if first_pass else count_module,
      )
    except UserError as error:
      raise UserError(f'space: network {network}: {error}') from error
  _check_outputs(network, found.outputs, num_classes)
  others = {
      name: leaves for name, leaves in found.variables.items()
      if name != 'params'
  }
  return Counts(
      found.madds, found.params,
      sum(leaf.size for leaf in jax.tree.leaves(others)),
  )


def remarks(
    network: FlaxNetwork, image_size: int, num_classes: int
) -> list[str]:
  """What is to be known of a network's counts.

  Args:
    network: of a `FlaxSpace`.
    image_size: side of its RGB images.
    num_classes: width of the classifier.

  Returns:
    Lines: what was decided or could not be seen, and what counts as none.
  """
  found = _traced(
      _module(network, num_classes), *_example(network, image_size),
      count_module,
  )
  lines = list(found.notes)
  if found.uncounted:
    lines.append(f'counted as none: {", ".join(found.uncounted)}')
  return lines


@functools.lru_cache(maxsize=8)
def trace_text(
    network: FlaxNetwork, image_size: int, num_classes: int
) -> str:
  """What tells a module apart from others: what it begins with and computes.

  Args:
    network: of a `FlaxSpace`.
    image_size: side of its RGB images.
    num_classes: width of the classifier.

  Returns:
    Traces of `init` and of a pass in training; the same in every process.

  Raises:
    UserError: as `counted`.
  """
  counted(network, image_size, num_classes)
  module = _module(network, num_classes)
  rngs, inputs = arguments(example_of(network, image_size), batch_size=2)

  def init(rngs: Any, inputs: Any) -> Any:
    return nn.meta.unbox(module.init(rngs, inputs, train=False))

  def trained(variables: Any, rngs: Any, inputs: Any) -> Any:
    return module.apply(
        variables, inputs, train=True, rngs=rngs,
        mutable=[name for name in variables if name != 'params'],
    )

  with lookup.blamed(f'space: network {network}', network.space.build):
    first, variables = jax.make_jaxpr(init, return_shape=True)(rngs, inputs)
    second = jax.make_jaxpr(trained)(variables, rngs, inputs)
  return _ADDRESS.sub('', f'{first}\n{second}')


def _module(network: FlaxNetwork, num_classes: int) -> nn.Module:
  """Builds a module and checks how it is called."""
  module = network.module(num_classes)
  if not isinstance(module, nn.Module):
    raise UserError(
        f'space: network {network}: build returned a {type(module).__name__};'
        ' allowed is a flax.linen.Module'
    )
  try:
    inspect.signature(module.__call__).bind(None, train=False)
  except TypeError as error:
    raise UserError(
        f'space: network {network}: {type(module).__name__}.__call__: {error};'
        ' allowed is a module that is called as module(images, train)'
    ) from error
  return module


def _example(
    network: FlaxNetwork, image_size: int
) -> tuple[tuple[Any, ...], Any]:
  """What a network is called with for one example: leaves and structure."""
  leaves, structure = jax.tree.flatten(example_of(network, image_size))
  return tuple(
      jax.ShapeDtypeStruct(tuple(leaf.shape), leaf.dtype) for leaf in leaves
  ), structure


def _traced(
    module: nn.Module, leaves: tuple[Any, ...], structure: Any, count: Count
) -> ModuleCounts:
  """Counts of a module; equal ones are traced once."""
  try:
    return _known(module, leaves, structure, count)
  except TypeError as error:
    if 'unhashable' not in str(error):
      raise
    return _known.__wrapped__(module, leaves, structure, count)


@functools.lru_cache(maxsize=4096)
def _known(
    module: nn.Module, leaves: tuple[Any, ...], structure: Any, count: Count
) -> ModuleCounts:
  return count(module, jax.tree.unflatten(structure, leaves))


def _check_outputs(
    network: FlaxNetwork, outputs: Any, num_classes: int
) -> None:
  """Raises UserError unless a module returns logits, if it is to classify."""
  leaves = jax.tree.leaves(outputs)
  if network.task:
    return
  [*_, first] = [None, *leaves]
  if len(leaves) != 1 or leaves[0] is not outputs:
    said = f'{len(leaves)} arrays'
  elif not jnp.issubdtype(first.dtype, jnp.floating):
    said = f'{first.dtype} numbers'
  elif first.shape != (1, num_classes):
    said = f'an array of shape {first.shape} for one image'
  else:
    return
  raise UserError(
      f'space: network {network}: its module returns {said}; allowed are'
      f' logits, floating-point numbers of shape (1, {num_classes})'
  )
