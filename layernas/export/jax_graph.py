"""Runs an inference graph in JAX: what StableHLO and TFLite are made from."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from layernas.export.graph import Graph
from layernas.export.graph import Node
from layernas.models.batch_norm import ACTIVATIONS
from layernas.models.batch_norm import GATES

_FUNCTIONS = {**ACTIVATIONS, **GATES}


def graph_function(graph: Graph) -> Callable[[jax.Array], jax.Array]:
  """A network as a function.

  Args:
    graph: its inference graph.

  Returns:
    From images, float32 (batch, size, size, 3), to logits (batch, classes).
  """
  def run(images: jax.Array) -> jax.Array:
    values = {0: images}
    for node in graph.nodes:
      inputs = [values[one.number] for one in node.inputs]
      values[node.output.number] = _run(node, inputs)
    return values[graph.nodes[-1].output.number]

  return run


def _run(node: Node, inputs: list[jax.Array]) -> jax.Array:
  x = inputs[0]
  if node.kind == 'conv':
    return node.bias + lax.conv_general_dilated(
        x, node.kernel, (node.stride, node.stride), 'SAME',
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        feature_group_count=node.groups,
    )
  if node.kind == 'dense':
    return x @ node.kernel + node.bias
  if node.kind == 'activation':
    return _FUNCTIONS[node.function](x)
  if node.kind == 'mean':
    return jnp.mean(x, axis=(1, 2), keepdims=True)
  if node.kind == 'flatten':
    return x.reshape(x.shape[0], node.output.filters)
  return x + inputs[1] if node.kind == 'add' else x * inputs[1]
