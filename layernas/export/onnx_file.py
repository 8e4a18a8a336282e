"""ONNX files, written node by node from an inference graph.

Opset 17. Images are given as channels last, as everywhere in this package; the
file's convolutions have channels first, and one transpose at its beginning.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from layernas.data.dataset import Scaling
from layernas.export.graph import Graph
from layernas.export.graph import Node

INPUT, OUTPUT = 'image', 'logits'
"""Names of the file's input and output."""

_OPSET, _IR_VERSION = 17, 9
"""IR 9 is that of opset 17's time: older runtimes read it."""


class _Writer:
  """Nodes and constants of a file."""

  def __init__(self) -> None:
    self.nodes: list[Any] = []
    self.constants: list[Any] = []

  def node(self, kind: str, inputs: list[str], name: str, **fields: Any) -> str:
    """Adds a node; its output has its name."""
    self.nodes.append(
        helper.make_node(kind, inputs, [name], name=name, **fields)
    )
    return name

  def constant(self, value: Any, name: str) -> str:
    """Adds an initialiser."""
    self.constants.append(numpy_helper.from_array(
        np.ascontiguousarray(value), name
    ))
    return name


def _relu6(writer: _Writer, x: str, name: str) -> str:
  low, high = (
      writer.constant(np.array(value, np.float32), f'{name}/{end}')
      for value, end in ((0, 'low'), (6, 'high'))
  )
  return writer.node('Clip', [x, low, high], name)


def _hard_sigmoid(writer: _Writer, x: str, name: str) -> str:
  return writer.node('HardSigmoid', [x], name, alpha=1 / 6, beta=0.5)


_FUNCTIONS: dict[str, Callable[[_Writer, str, str], str]] = {
    'relu': lambda writer, x, name: writer.node('Relu', [x], name),
    'relu6': _relu6,
    'hard_swish': lambda writer, x, name: writer.node('HardSwish', [x], name),
    'swish': lambda writer, x, name: writer.node(
        'Mul', [x, writer.node('Sigmoid', [x], f'{name}/sigmoid')], name
    ),
    'hard_sigmoid': _hard_sigmoid,
    'sigmoid': lambda writer, x, name: writer.node('Sigmoid', [x], name),
}
"""Activations and gates."""


def onnx_model(
    graph: Graph, facts: dict[str, str], scaling: Scaling | None = None
) -> onnx.ModelProto:
  """A graph as an ONNX model, checked.

  Args:
    graph: of the network.
    facts: texts by name, kept as the model's metadata.
    scaling: of bytes, where the model takes them; else it takes images that are
      scaled.

  Returns:
    The model; its input is (batch, size, size, 3), uint8 or float32.
  """
  writer, images = _Writer(), INPUT
  if scaling:
    images = _scaled(writer, images, scaling)
  names = {0: writer.node('Transpose', [images], 'nchw', perm=[0, 3, 1, 2])}
  for node in graph.nodes:
    name = OUTPUT if node.output is graph.output else node.name
    inputs = [names[one.number] for one in node.inputs]
    names[node.output.number] = _write(writer, node, inputs, name)
  size = graph.input.size
  made = helper.make_graph(
      writer.nodes, 'layernas',
      [helper.make_tensor_value_info(
          INPUT, TensorProto.UINT8 if scaling else TensorProto.FLOAT,
          ['batch', size, size, graph.input.filters],
      )],
      [helper.make_tensor_value_info(
          OUTPUT, TensorProto.FLOAT, ['batch', graph.output.filters]
      )],
      writer.constants,
  )
  model = helper.make_model(
      made, opset_imports=[helper.make_opsetid('', _OPSET)],
      producer_name='layernas', ir_version=_IR_VERSION,
  )
  helper.set_model_props(model, facts)
  onnx.checker.check_model(model, full_check=True)
  return model


def _scaled(writer: _Writer, images: str, scaling: Scaling) -> str:
  """Pixels as the network takes them."""
  mean, deviation = np.array(scaling.mean), np.array(scaling.deviation)
  values = writer.node('Cast', [images], 'pixels', to=TensorProto.FLOAT)
  factor, shift = (
      writer.constant(value.astype(np.float32), f'scaling/{name}')
      for name, value in (
          ('factor', 1 / (255 * deviation)), ('shift', -mean / deviation)
      )
  )
  values = writer.node('Mul', [values, factor], 'scaling/product')
  return writer.node('Add', [values, shift], 'scaling')


def _write(writer: _Writer, node: Node, inputs: list[str], name: str) -> str:
  if node.kind == 'conv':
    side = node.kernel.shape[0]
    before, after = _padding(
        node.inputs[0].size, node.output.size, side, node.stride
    )
    kernel = node.kernel.transpose(3, 2, 0, 1)
    return writer.node(
        'Conv',
        [
            *inputs, writer.constant(kernel, f'{name}/kernel'),
            writer.constant(node.bias, f'{name}/bias'),
        ],
        name, kernel_shape=[side, side], strides=[node.stride] * 2,
        pads=[before, before, after, after], group=node.groups,
    )
  if node.kind == 'dense':
    return writer.node(
        'Gemm',
        [
            *inputs, writer.constant(node.kernel, f'{name}/kernel'),
            writer.constant(node.bias, f'{name}/bias'),
        ],
        name,
    )
  if node.kind == 'activation':
    return _FUNCTIONS[node.function](writer, inputs[0], name)
  kind = {
      'mean': 'GlobalAveragePool', 'flatten': 'Flatten', 'add': 'Add',
      'multiply': 'Mul',
  }[node.kind]
  return writer.node(kind, inputs, name)


def _padding(size: int, out: int, side: int, stride: int) -> tuple[int, int]:
  """Of 'SAME': the odd pixel comes after."""
  total = max((out - 1) * stride + side - size, 0)
  return total // 2, total - total // 2
