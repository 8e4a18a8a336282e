"""Modules in frames, as every runtime runs them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from layernas.errors import UserError
from layernas.export.formats import FORMATS
from layernas.export.jax_graph import graph_function
from layernas.latency.frames import Framed
from layernas.latency.frames import framed
from layernas.latency.frames import module_timings
from layernas.latency.run_latency import subject_of
from layernas.latency.runtimes import RUNTIMES
from layernas.latency.runtimes import FileTimer
from layernas.latency.runtimes import GraphMaker
from layernas.latency.runtimes import XlaTimer
from layernas.latency.stopwatch import Stopwatch
from layernas.latency.stopwatch import Timing
from layernas.networks.latency import space_modules
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.network import NetworkLike
from layernas.networks.space import network_modules
from tests import tiny
from tests.search import problems

_NEEDS = {
    'onnxruntime': ('onnx', 'onnxruntime'),
    'litert': ('litert_converter', 'ai_edge_litert'),
}


def _config(**changes: object) -> object:
  config = tiny.get_config()
  with config.unlocked():
    config.update_from_flattened_dict(changes)
  return config


class _Recorder:
  """A stopwatch that hands back the input and output of a pass."""

  def passes(self, forward, variables, x) -> tuple[jax.Array, jax.Array]:
    return x, jax.jit(forward)(variables, x)


def _ordinary(values: object) -> np.ndarray:
  values = np.asarray(values, np.float32)
  assert np.isfinite(values).all()
  assert np.ptp(values) > 0.01
  return values


def _programs(network: NetworkLike, size: int, classes: int) -> list[Framed]:
  return framed(network_modules(network, size, classes))


@pytest.mark.parametrize('dtype', [
    'float32', pytest.param('bfloat16', marks=pytest.mark.long),
])
def test_in_xla_modules_receive_what_the_one_before_gives(dtype: str) -> None:
  config = _config(**{'model.dtype': dtype, 'latency.batch_size': 2})
  timer = XlaTimer(config, 16, 7, _Recorder())
  network = tiny.space().base
  before = jnp.zeros((2, 16, 16, 3), jnp.float32)
  for placed in network_modules(network, 16, 7):
    x, out = timer(placed)
    assert (x.shape, x.dtype) == (before.shape, before.dtype)
    assert np.isfinite(np.asarray(out, np.float32)).all()
    assert np.ptp(np.asarray(out, np.float32)) > 0.1
    before = out
  images, logits = timer(network)
  assert (images.shape, images.dtype) == ((2, 16, 16, 3), jnp.float32)
  assert (logits.shape, logits.dtype) == (before.shape, before.dtype)


def test_xla_times_on_the_present_device() -> None:
  timer = XlaTimer(_config(), 16, 7, Stopwatch(0, 2))
  timing = timer(tiny.space().base)()
  assert 0 < timing.lower_quartile <= timing.milliseconds
  assert timing.milliseconds <= timing.upper_quartile


def test_graphs_are_the_modules_and_nothing_more() -> None:
  network = tiny.space().base
  graphs = GraphMaker(16, 7, 1e-3)
  whole = [node.kind for node in graphs(network).nodes]
  parts = []
  for one in _programs(network, 16, 7):
    kinds = [node.kind for node in graphs(one).nodes]
    if one.has_conv:
      assert kinds[:2] == ['conv', 'activation']
      kinds = kinds[2:]
    if one.has_mean:
      assert kinds[-2:] == ['mean', 'flatten']
      kinds = kinds[:-2]
    assert bool(kinds) == bool(one.placed)
    parts += kinds
  assert parts == whole


def _run_onnx(data: bytes, images: np.ndarray) -> np.ndarray:
  onnxruntime = pytest.importorskip('onnxruntime')
  session = onnxruntime.InferenceSession(data)
  return session.run(None, {session.get_inputs()[0].name: images})[0]


def _run_tflite(data: bytes, images: np.ndarray) -> np.ndarray:
  interpreter = pytest.importorskip('ai_edge_litert.interpreter')
  one = interpreter.Interpreter(model_content=data)
  one.allocate_tensors()
  one.set_tensor(one.get_input_details()[0]['index'], images)
  one.invoke()
  return one.get_tensor(one.get_output_details()[0]['index'])


@pytest.mark.parametrize(('name', 'run'), [
    ('onnxruntime', _run_onnx), ('litert', _run_tflite),
])
def test_files_do_what_the_graph_says(name: str, run: object) -> None:
  for module in _NEEDS[name]:
    pytest.importorskip(module)
  runtime, graphs = RUNTIMES[name], GraphMaker(16, 7, 1e-3)
  assert runtime.version()
  network = tiny.space().base
  for what in (_programs(network, 16, 7)[2], network):
    graph = graphs(what)
    image = graph.input
    images = np.random.default_rng(0).standard_normal(
        (2, image.size, image.size, image.filters), np.float32
    )
    wanted = _ordinary(jax.jit(graph_function(graph))(images))
    assert wanted.shape == (2, graph.output.filters)
    found = run(runtime.write(graph, 2), images)
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
  timing = FileTimer(runtime, graphs, 2, 1, Stopwatch(0, 2))(network)()
  assert 0 < timing.lower_quartile <= timing.milliseconds


def test_files_are_of_formats_that_export_knows() -> None:
  assert {runtime.ending for runtime in RUNTIMES.values()} <= set(FORMATS)


def test_modules_are_what_frames_leave_of_them() -> None:
  programs = _programs(tiny.space().base, 16, 7)
  timings = {
      one.name: Timing(*((10.0 if one.placed else 4.0) + i for i in range(3)))
      for one in programs
  }
  found = module_timings(programs, timings)
  modules = network_modules(tiny.space().base, 16, 7)
  assert list(found) == list(dict.fromkeys(one.signature for one in modules))
  # The stem receives images itself: its time has the call.
  assert found[modules[0].signature] == Timing(10, 11, 12)
  assert found[modules[1].signature] == Timing(6, 7, 8)


def test_each_frame_is_timed_once() -> None:
  space = SPACES['cifar10_small']()
  names = [one.name for one in framed(space_modules(space, 32, 10))]
  assert len(names) == len(set(names)) == 79 + 9
  assert names[:2] == [
      'stem size=32 input=3 filters=16 kernel=3 stride=2 activation=relu6',
      'frame size=16 filters=16',
  ]


@pytest.mark.parametrize(('space', 'part'), [
    ('tests.networks.flax_spaces:space', 'Flax modules'),
    ('tests.latency.graphless:space', 'GraphlessBlock has no inference graph'),
])
def test_what_has_no_graph_is_told_before_anything_is_measured(
    space: str, part: str
) -> None:
  config = _config(space=space)
  subject_of(config)
  config.latency.runtime = 'onnxruntime'
  with problems.refuses('latency.runtime', part, "allowed is 'xla'"):
    subject_of(config)


def test_a_runtime_that_is_not_installed_is_told(
    monkeypatch: pytest.MonkeyPatch
) -> None:
  runtime = dataclasses.replace(
      RUNTIMES['litert'], packages=('ai-edge-nothing',)
  )
  with pytest.raises(UserError, match='pip install ai-edge-nothing'):
    runtime.version()
