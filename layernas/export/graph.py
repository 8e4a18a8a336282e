"""A network, or parts of one, as operations, for inference alone.

Batch norm is folded into the convolution before it, and 1x1 convolutions are
convolutions: what every format has an operation for. The graph is data; a
format walks along its nodes.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from layernas import lookup
from layernas.errors import UserError
from layernas.networks.counting import output_size
from layernas.networks.spec import IMAGE_FILTERS
from layernas.networks.spec import Head
from layernas.networks.spec import Module
from layernas.networks.spec import NetworkSpec
from layernas.networks.spec import Stem


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
  """What a node gives, for one image.

  Attributes:
    number: of its node; 0 is the graph's input.
    size: side of its features in pixels; 0 for a vector.
    filters: of its features, or length of the vector.
  """

  number: int
  size: int
  filters: int


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
  """An operation.

  Attributes:
    kind: 'conv', 'dense', 'activation', 'mean', 'flatten', 'add' or 'multiply'.
    name: unique within the graph: modules joined by slashes.
    inputs: values.
    output: value.
    kernel: of a convolution, (height, width, filters of a group, filters); of a
      dense layer, (inputs, outputs).
    bias: of both, (filters,).
    stride: of a convolution, whose input is padded as 'SAME' has it.
    groups: of a convolution.
    function: name of an activation or a gate.
  """

  kind: str
  name: str
  inputs: tuple[Value, ...]
  output: Value
  kernel: np.ndarray | None = None
  bias: np.ndarray | None = None
  stride: int = 1
  groups: int = 1
  function: str = ''


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
  """Operations in the order in which they run.

  Attributes:
    input: images.
    nodes: at least one.
  """

  input: Value
  nodes: Sequence[Node]

  @property
  def output(self) -> Value:
    """What the last node gives: of a network, the logits."""
    return self.nodes[-1].output


class Layers:
  """Adds layers to a graph, their variables found by the names of modules."""

  def __init__(
      self, nodes: list[Node], variables: Any, epsilon: float, name: str = ''
  ):
    """Adds nothing yet.

    Args:
      nodes: of the graph, added to.
      variables: 'params' and 'batch_stats', nested dicts of arrays.
      epsilon: added to the variances of batch norms.
      name: of the module whose variables they are; '' is the whole network.
    """
    self._nodes = nodes
    self._variables = variables
    self._epsilon = epsilon
    self._name = name

  def of(self, name: str) -> 'Layers':
    """Layers of a module of this one."""
    variables = {
        collection: found[name]
        for collection, found in self._variables.items() if name in found
    }
    return Layers(
        self._nodes, variables, self._epsilon, self._joined(name)
    )

  def normed_conv(
      self, x: Value, name: str, stride: int = 1, activation: str = '',
      depthwise: bool = False,
  ) -> Value:
    """A convolution without bias, its batch norm `NAME_norm`, an activation.

    Args:
      x: features.
      name: of the convolution; its kernel has two or four axes.
      stride: of the convolution.
      activation: a key of `ACTIVATIONS`; '' is none.
      depthwise: whether each filter is a group of its own.

    Returns:
      Features.
    """
    kernel = self._array('params', name, 'kernel')
    norm = f'{name}_norm'
    factor = self._array('params', norm, 'scale') / np.sqrt(
        self._array('batch_stats', norm, 'var') + self._epsilon
    )
    bias = self._array('params', norm, 'bias') - (
        self._array('batch_stats', norm, 'mean') * factor
    )
    groups = x.filters if depthwise else 1
    return self._activated(
        self._conv(x, name, kernel * factor, bias, stride, groups), name,
        activation,
    )

  def conv(self, x: Value, name: str, activation: str = '') -> Value:
    """A 1x1 convolution with a bias and an activation or gate.

    Args:
      x: features.
      name: of the module, whose kernel has two axes.
      activation: a key of `ACTIVATIONS` or `GATES`.

    Returns:
      Features.
    """
    kernel, bias = self._dense_variables(name)
    return self._activated(
        self._conv(x, name, kernel, bias, 1, 1), name, activation
    )

  def dense(self, x: Value, name: str, activation: str = '') -> Value:
    """A dense layer of a vector, with a bias and an activation.

    Args:
      x: a vector.
      name: of the module.
      activation: a key of `ACTIVATIONS`.

    Returns:
      A vector.
    """
    kernel, bias = self._dense_variables(name)
    y = self._add('dense', name, (x,), 0, kernel.shape[-1], kernel=kernel,
                  bias=bias)
    return self._activated(y, name, activation)

  def mean(self, x: Value) -> Value:
    """The mean over all pixels: features of one pixel."""
    return self._add('mean', 'mean', (x,), 1, x.filters)

  def flatten(self, x: Value) -> Value:
    """Features of one pixel as a vector."""
    return self._add('flatten', 'flatten', (x,), 0, x.filters)

  def add(self, x: Value, y: Value) -> Value:
    """The sum of two features."""
    return self._add('add', 'add', (x, y), x.size, x.filters)

  def activation(self, x: Value, function: str) -> Value:
    """An activation alone, as behind a sum; a key of `ACTIVATIONS`."""
    return self._activated(x, f'values{x.number}', function)

  def multiply(self, x: Value, y: Value) -> Value:
    """The product of features with features, or with those of one pixel."""
    return self._add('multiply', 'multiply', (x, y), x.size, x.filters)

  def _conv(
      self, x: Value, name: str, kernel: np.ndarray, bias: np.ndarray,
      stride: int, groups: int,
  ) -> Value:
    if kernel.ndim == 2:
      kernel = kernel[None, None]
    return self._add(
        'conv', name, (x,), output_size(x.size, stride), kernel.shape[-1],
        kernel=kernel.astype(np.float32), bias=bias.astype(np.float32),
        stride=stride, groups=groups,
    )

  def _activated(self, x: Value, name: str, activation: str) -> Value:
    if not activation:
      return x
    return self._add(
        'activation', f'{name}/{activation}', (x,), x.size, x.filters,
        function=activation,
    )

  def _add(
      self, kind: str, name: str, inputs: tuple[Value, ...], size: int,
      filters: int, **fields: Any,
  ) -> Value:
    output = Value(len(self._nodes) + 1, size, filters)
    self._nodes.append(
        Node(kind, self._joined(name), inputs, output, **fields)
    )
    return output

  def _dense_variables(self, name: str) -> tuple[np.ndarray, np.ndarray]:
    return tuple(
        self._array('params', name, one).astype(np.float32)
        for one in ('kernel', 'bias')
    )

  def _array(self, collection: str, name: str, variable: str) -> np.ndarray:
    """A variable in double precision: what is folded is rounded once."""
    found = self._variables[collection]
    for one in name.split('/'):
      found = found[one]
    return np.asarray(found[variable], np.float64)

  def _joined(self, name: str) -> str:
    return f'{self._name}/{name}' if self._name else name


def image_value(size: int) -> Value:
  """The input of a graph: images of a side in pixels."""
  return Value(0, size, IMAGE_FILTERS)


def make_graph(
    network: Any, variables: Any, image_size: int, epsilon: float
) -> Graph:
  """The inference graph of a network.

  Args:
    network: its shape.
    variables: 'params' and 'batch_stats'.
    image_size: side of its images.
    epsilon: of its batch norms.

  Returns:
    The graph, from images to logits.

  Raises:
    UserError: it is no spec, or has a block type without inference graph.
  """
  if not isinstance(network, NetworkSpec):
    raise UserError(
        'export: a network of Flax modules has no inference graph of its own;'
        ' allowed is stablehlo'
    )
  nodes: list[Node] = []
  layers = Layers(nodes, variables, epsilon)
  x = images = image_value(image_size)
  for name, module in network.modules.items():
    try:
      x = add_module(module, name, layers, x)
    except NotImplementedError as error:
      raise UserError(
          f'export: block type {module.kind} has no inference graph (`infer` of'
          f' {module.flax_module}); allowed is stablehlo'
      ) from error
  return Graph(images, nodes)


def add_module(module: Module, name: str, layers: Layers, x: Value) -> Value:
  """Adds a part of a network to a graph.

  Args:
    module: stem, block or head.
    name: under which `layers` has a block's variables, such as 'block0'.
    layers: of the network, or of the part alone.
    x: what it receives.

  Returns:
    Features, or a head's logits.

  Raises:
    NotImplementedError: its block type has no inference graph.
  """
  if isinstance(module, Stem):
    return layers.normed_conv(x, 'stem', module.stride, module.activation)
  if isinstance(module, Head):
    return _add_head(module, layers, x)
  make = lookup.find(f'{module.kind}.flax_module', module.flax_module, {})
  return make.infer(module, layers.of(name), x)


def _add_head(head: Head, layers: Layers, x: Value) -> Value:
  if head.filters:
    x = layers.normed_conv(x, 'head', activation=head.activation)
  x = layers.flatten(layers.mean(x))
  if head.hidden:
    x = layers.dense(x, 'hidden', head.activation)
  return layers.dense(x, 'classifier')
