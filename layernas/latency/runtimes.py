"""Runtimes that latencies are measured in.

XLA runs Flax modules as a config has them, inference only, on JAX's device.
Every other runtime runs a file on the CPU, which is written from an inference
graph: float32, batch norm folded. Variables are random, of ordinary size.
"""

import dataclasses
import importlib
import importlib.metadata
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from layernas.errors import UserError
from layernas.errors import not_installed
from layernas.export import stablehlo
from layernas.export.graph import Graph
from layernas.export.graph import Layers
from layernas.export.graph import Node
from layernas.export.graph import add_module
from layernas.export.graph import image_value
from layernas.export.graph import make_graph
from layernas.export.jax_graph import graph_function
from layernas.latency.frames import Framed
from layernas.latency.stopwatch import Stopwatch
from layernas.latency.stopwatch import Timing
from layernas.latency.stopwatch import random_variables
from layernas.models.network import DTYPES
from layernas.models.network import Network
from layernas.models.network import create_module
from layernas.models.network import example_of
from layernas.networks.network import NetworkLike
from layernas.networks.space import SizedModule
from layernas.networks.spec import IMAGE_FILTERS
from layernas.networks.spec import Stem
from layernas.training.programs import create_model

XLA = 'xla'
"""The runtime that has no files."""

Timer = Callable[[SizedModule | Framed | NetworkLike], Callable[[], Timing]]
"""Makes a module (for files in its frame), a frame or a whole network ready;
what it returns times a forward pass."""


@dataclasses.dataclass(frozen=True)
class Runtime:
  """A runtime of files.

  Attributes:
    name: in `RUNTIMES`.
    ending: of its files.
    packages: that it takes, as pip names them; the first one runs files.
    write: the content of a file, for a graph and a batch size.
    load: a function that makes a pass, for a file's content, its images and a
      number of threads.
  """

  name: str
  ending: str
  packages: tuple[str, ...]
  write: Callable[[Graph, int], bytes]
  load: Callable[[bytes, np.ndarray, int], Callable[[], Any]]

  def version(self) -> str:
    """Of what runs files.

    Raises:
      UserError: a package is missing.
    """
    try:
      versions = [importlib.metadata.version(one) for one in self.packages]
    except importlib.metadata.PackageNotFoundError as error:
      raise not_installed(
          f'latency.runtime: {self.name!r}', error.name, *self.packages
      ) from error
    return versions[0]


def _write_onnx(graph: Graph, batch_size: int) -> bytes:
  from layernas.export.onnx_file import onnx_model  # noqa: PLC0415

  del batch_size  # Files are for batches of any size.
  return onnx_model(graph, {}).SerializeToString()


def _load_onnx(
    data: bytes, images: np.ndarray, threads: int
) -> Callable[[], Any]:
  runtime = importlib.import_module('onnxruntime')
  options = runtime.SessionOptions()
  options.intra_op_num_threads = threads
  session = runtime.InferenceSession(
      data, options, providers=['CPUExecutionProvider']
  )
  # Bound inputs and outputs are not looked up and converted in every call.
  binding = session.io_binding()
  binding.bind_cpu_input(session.get_inputs()[0].name, images)
  binding.bind_output(session.get_outputs()[0].name)
  return lambda: session.run_with_iobinding(binding)


def _write_tflite(graph: Graph, batch_size: int) -> bytes:
  from layernas.export.litert import tflite_bytes  # noqa: PLC0415

  image = graph.input
  return tflite_bytes(stablehlo.text(
      graph_function(graph),
      jax.ShapeDtypeStruct((image.size, image.size, image.filters), np.float32),
      batch_size,
  ))


def _load_tflite(
    data: bytes, images: np.ndarray, threads: int
) -> Callable[[], Any]:
  runtime = importlib.import_module('ai_edge_litert.interpreter')
  interpreter = runtime.Interpreter(model_content=data, num_threads=threads)
  interpreter.allocate_tensors()
  [details] = interpreter.get_input_details()
  interpreter.set_tensor(details['index'], images)
  return interpreter.invoke


RUNTIMES = {
    one.name: one for one in (
        Runtime(
            'onnxruntime', 'onnx', ('onnxruntime', 'onnx'), _write_onnx,
            _load_onnx,
        ),
        Runtime(
            'litert', 'tflite', ('ai-edge-litert', 'litert-converter'),
            _write_tflite, _load_tflite,
        ),
    )
}
"""By the value of `latency.runtime`."""


def find_runtime(name: str) -> Runtime | None:
  """A runtime by its name.

  Args:
    name: `XLA` or a key of `RUNTIMES`.

  Returns:
    The runtime; None for XLA.

  Raises:
    UserError: there is none of that name.
  """
  if name != XLA and name not in RUNTIMES:
    raise UserError(
        f'latency.runtime: {name!r}: allowed are {[XLA, *RUNTIMES]}'
    )
  return RUNTIMES.get(name)


class GraphMaker:
  """Makes inference graphs with random variables."""

  def __init__(self, image_size: int, num_classes: int, epsilon: float):
    """Makes none yet.

    Args:
      image_size: side of the images of whole networks.
      num_classes: width of the classifier.
      epsilon: of batch norms.
    """
    self._image_size = image_size
    self._settings = {
        'num_classes': num_classes, 'batch_norm_epsilon': epsilon,
        # Each platform has it; its values do not count.
        'depthwise': 'native',
    }

  def __call__(self, what: Framed | NetworkLike) -> Graph:
    """The graph of a module in its frame, of a frame, or of a network."""
    epsilon = self._settings['batch_norm_epsilon']
    if not isinstance(what, Framed):
      size = self._image_size
      variables = self._variables(
          Network(what, **self._settings), size, IMAGE_FILTERS
      )
      return make_graph(what, variables, size, epsilon)
    nodes: list[Node] = []
    x = images = image_value(what.size)
    if what.has_conv:
      before = {'params': {'before': {
          'kernel': np.random.default_rng(0).standard_normal(
              (IMAGE_FILTERS, what.filters), np.float32
          ),
          'bias': np.ones(what.filters, np.float32),
      }}}
      x = Layers(nodes, before, epsilon).conv(x, 'before', 'relu6')
    variables = {}
    if what.placed:
      variables = self._variables(
          create_module(what.placed.module, **self._settings), what.size,
          what.filters,
      )
    layers = Layers(nodes, variables, epsilon)
    if what.placed:
      x = add_module(what.placed.module, 'block0', layers, x)
    if what.has_mean:
      layers.flatten(layers.mean(x))
    return Graph(images, nodes)

  def check(self, runtime: str, modules: Iterable[SizedModule]) -> None:
    """Raises UserError where a block type has no inference graph."""
    for placed in {type(one.module): one for one in modules}.values():
      try:
        self(Framed(placed.size, placed.input_filters, placed))
      except NotImplementedError as error:
        raise UserError(
            f'latency.runtime: {runtime!r}: block type {placed.module.kind} has'
            f' no inference graph (`infer` of {placed.module.flax_module});'
            f' allowed is {XLA!r}'
        ) from error

  def _variables(self, model: Any, size: int, filters: int) -> Any:
    return random_variables(model, np.zeros((1, size, size, filters), 'f4'))


class XlaTimer:
  """Times a forward pass of a module or a network on JAX's first device.

  Modules have no frames: XLA would fuse them with a part of these, and not
  always with the same.
  """

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

  def __call__(self, what: SizedModule | NetworkLike) -> Callable[[], Timing]:
    """See `Timer`."""
    model, inputs = (
        self._module(what) if isinstance(what, SizedModule)
        else self._network(what)
    )
    return self._stopwatch.passes(
        lambda variables, x: model.apply(variables, x, train=False),
        random_variables(model, inputs),
        inputs,
    )

  def _network(self, network: NetworkLike) -> tuple[nn.Module, Any]:
    model = create_model(self._config, network, self._num_classes)
    return model, self._inputs(example_of(network, self._image_size))

  def _module(self, placed: SizedModule) -> tuple[nn.Module, jax.Array]:
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
    return model, self._inputs(jax.ShapeDtypeStruct(
        (placed.size, placed.size, placed.input_filters), kind
    ))

  def _inputs(self, example: Any) -> Any:
    """A batch of normal numbers; integers, which may be indices, are zero."""
    rng = np.random.default_rng(0)

    def draw(leaf: jax.ShapeDtypeStruct) -> jax.Array:
      shape = (self._config.latency.batch_size, *leaf.shape)
      if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return jnp.zeros(shape, leaf.dtype)
      return jnp.asarray(rng.standard_normal(shape, np.float32), leaf.dtype)

    return jax.tree.map(draw, example)


class FileTimer:
  """Times a forward pass in a runtime of files."""

  def __init__(
      self, runtime: Runtime, graphs: GraphMaker, batch_size: int,
      threads: int, stopwatch: Stopwatch,
  ):
    """Times nothing yet.

    Args:
      runtime: that runs.
      graphs: makes what is run.
      batch_size: images of a pass.
      threads: of the runtime.
      stopwatch: that times.
    """
    self._runtime = runtime
    self._graphs = graphs
    self._batch_size = batch_size
    self._threads = threads
    self._stopwatch = stopwatch

  def __call__(self, what: Framed | NetworkLike) -> Callable[[], Timing]:
    """See `Timer`."""
    graph = self._graphs(what)
    image = graph.input
    images = np.random.default_rng(0).standard_normal(
        (self._batch_size, image.size, image.size, image.filters), np.float32
    )
    data = self._runtime.write(graph, self._batch_size)
    return self._stopwatch.repeated(
        self._runtime.load(data, images, self._threads)
    )
