"""The search and the plain loop that tools/perf/candidates.py measures.

The plain loop, like the loop in tools/perf/torch_loop.py, trains the networks
that the search trained, one after the other, on the same batches of images. It
makes the batches between steps in the same thread.

It is written like Flax's ImageNet example. For each network it builds the
module, runs init under jit, and pmaps the train step and the evaluation step.
Depthwise convolutions are grouped convolutions, 1x1 ones are Flax's, and none
of the package's kernels is used. It saves a checkpoint at the end. Run it
without a compilation cache: JAX_ENABLE_COMPILATION_CACHE=false.
"""

import dataclasses
import functools
import itertools
import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from flax import jax_utils
from jax import monitoring
from ml_collections import ConfigDict

from layernas.data.dataset import Dataset
from layernas.data.embedded_cifar10 import NATIVE_SIZE
from layernas.data.registry import load_dataset
from layernas.models.convolutions import PointwiseConv
from layernas.models.initialization import Initialization
from layernas.networks.registry import make_space
from layernas.networks.spec import NetworkSpec
from layernas.runs.run_search import run_search
from layernas.search.space import parse_architecture_id
from layernas.training.devices import shard
from layernas.training.optimizer import learning_rate
from layernas.training.optimizer import make_optimizer
from layernas.training.programs import compilations
from layernas.training.programs import create_model
from layernas.training.steps import TrainState
from layernas.training.steps import make_evaluation_step
from layernas.training.steps import make_train_step
from layernas.training.train import training_steps
from layernas.training.wall_time import WallTime
from tools.perf.machine import machine

PARTS = ('trace', 'compile', 'train', 'evaluate', 'save', 'other')
"""Parts of a candidate's wall time."""


@dataclasses.dataclass(frozen=True)
class Job:
  """A network to train.

  Attributes:
    config: with the sections data, model and training.
    network: its specification.
    dataset: to train and validate on.
    seed: of the order of the images.
    steps: of the whole training.
    timed_steps: number of steps that are run, at most `steps`.
  """

  config: ConfigDict
  network: NetworkSpec
  dataset: Dataset
  seed: int
  steps: int
  timed_steps: int


Loop = Callable[[Job], tuple[Mapping[str, float], Sequence[float]]]
"""Trains, evaluates and saves one network. Gives the seconds of some of `PARTS`
and of every step that was run."""


def train_one_by_one(
    config: ConfigDict, candidates: Sequence[Mapping[str, Any]],
    timed_steps: int, loop: Loop,
) -> list[dict[str, Any]]:
  """Trains the networks of the search's candidates.

  Args:
    config: of the search.
    candidates: those of `measure_search`.
    timed_steps: steps to run of each training; 0 = all of them.
    loop: trains one network.

  Returns:
    'architecture', 'seed', 'images' and 'seconds' of each, as there.
  """
  space, dataset = make_space(config.space), load_dataset(config.data)
  training = config.training
  steps = training_steps(training, dataset.num_examples('train'))
  found = []
  for one in candidates:
    network = space.network(parse_architecture_id(one['architecture']))
    seconds, times = loop(Job(
        config, network, dataset, one['seed'], steps,
        min(timed_steps or steps, steps),
    ))
    seconds = {**seconds, 'train': scaled_up(times, steps)}
    found.append({
        'architecture': one['architecture'], 'seed': one['seed'],
        'images': steps * training.batch_size,
        'seconds': {
            name: round(seconds[name], 3) for name in PARTS if name in seconds
        },
    })
    print(json.dumps(found[-1]), file=sys.stderr, flush=True)
  return found


def times_of_steps(
    step: Callable[[Any], None], batches: Iterator[Any], number: int
) -> list[float]:
  """Seconds of each of some steps, including the making of its batch."""
  times = []
  for _ in range(number):
    begun = time.perf_counter()
    step(next(batches))
    times.append(time.perf_counter() - begun)
  return times


def scaled_up(times: Sequence[float], steps: int) -> float:
  """Scales measured steps to a whole training; the slow first one counts once.

  Args:
    times: seconds of the first steps; at least two unless there is only one.
    steps: of the whole training.

  Returns:
    Seconds of all steps.
  """
  first, *others = times
  if len(times) == steps:
    return sum(times)
  return first + (steps - 1) * statistics.fmean(others)


_TRACE = ('jaxpr_trace_duration', 'jaxpr_to_mlir_module_duration')
_COMPILE = ('backend_compile_duration',)


def measure_search(config: ConfigDict) -> dict[str, Any]:
  """Runs a search in a temporary workdir.

  Args:
    config: of the search.

  Returns:
    JSON types. 'candidates': 'architecture', 'seed', 'images' trained on and
    'seconds' by phase, see `layernas.training.wall_time.PHASES`.
    'whole_seconds' of the run, including the loading of the images;
    'compilations'; 'in_all_threads': seconds of tracing and compiling, whether
    or not a candidate waited for them.
  """
  spent = _compile_times()
  steps = training_steps(config.training, training_images(config.data))
  before = compilations()
  with tempfile.TemporaryDirectory() as workdir:
    begun = time.monotonic()
    run_search(config, workdir)
    whole = time.monotonic() - begun
    trials, timings = (
        [json.loads(line) for line in
         (pathlib.Path(workdir) / name).read_text().splitlines()]
        for name in ('trials.jsonl', 'timings.jsonl')
    )
  for times in timings:
    del times['id']
  return {
      'whole_seconds': round(whole, 2),
      'compilations': compilations() - before,
      'in_all_threads': {name: round(spent[name], 2) for name in spent},
      'candidates': [
          {'architecture': trial['architecture'], 'seed': trial['seed'],
           'images': steps * config.training.batch_size, 'seconds': times}
          for trial, times in zip(trials, timings, strict=True)
      ],
      'machine': jax_machine(),
  }


def jax_machine() -> dict[str, Any]:
  """Facts about this machine and JAX on it."""
  return machine(jax=jax.__version__, device=str(jax.devices()[0]))


def training_images(data: Any) -> int:
  """Number of images that the candidates are trained on.

  Args:
    data: section of the config.

  Returns:
    The number, which does not depend on the images' size; they are read small.
  """
  data = data.copy_and_resolve_references().unlock()
  data.image_size = NATIVE_SIZE
  return load_dataset(data).num_examples('train')


def _compile_times() -> dict[str, float]:
  """Adds up the seconds of tracing and compiling in all threads from now on.

  The sums are upper limits: programs traced inside others count twice.
  """
  spent = {'trace': 0.0, 'compile': 0.0}

  def heard(event: str, seconds: float, **details: Any) -> None:
    del details
    name = event.rpartition('/')[2]
    if name in _TRACE:
      spent['trace'] += seconds
    elif name in _COMPILE:
      spent['compile'] += seconds

  monitoring.register_event_duration_secs_listener(heard)
  return spent


def measure_plain_loop(
    config: ConfigDict, candidates: Sequence[Mapping[str, Any]],
    timed_steps: int,
) -> dict[str, Any]:
  """Trains the networks in the plain loop; see `train_one_by_one`.

  Args:
    config: of the search.
    candidates: those of `measure_search`.
    timed_steps: steps to run of each training, whose time is scaled up.

  Returns:
    JSON types: 'candidates', 'compilations', 'naive_steps' and 'machine'.
  """
  config = config.copy_and_resolve_references().unlock()
  config.model.depthwise = 'native'
  before = compilations()
  found = train_one_by_one(config, candidates, timed_steps, _plain_loop)
  return {
      'naive_steps': timed_steps,
      'compilations': compilations() - before,
      'candidates': found,
      'machine': jax_machine(),
  }


def flax_pointwise(
    call: Callable[..., Any], arguments: tuple[Any, ...],
    named: Mapping[str, Any], context: nn.module.InterceptorContext,
) -> Any:
  """Computes 1x1 convolutions as `nn.Conv` does; for `nn.intercept_methods`.

  Args:
    call: the module's method.
    arguments: of the call.
    named: keyword arguments of the call.
    context: with the module.

  Returns:
    The result of the method, or that of the convolution.
  """
  module = context.module
  if not isinstance(module, PointwiseConv):
    return call(*arguments, **named)
  [x] = arguments
  kernel = module.param(
      'kernel', nn.initializers.zeros, (x.shape[-1], module.filters)
  )
  return jax.lax.conv_general_dilated(
      x.astype(module.dtype), kernel.astype(module.dtype)[None, None], (1, 1),
      'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


def _plain_loop(job: Job) -> tuple[dict[str, float], list[float]]:
  config, training, dataset = job.config, job.config.training, job.dataset
  clock, traced = WallTime(), []
  model = create_model(config, job.network, dataset.num_classes)
  schedule = learning_rate(
      training, dataset.num_examples('train') // training.batch_size
  )
  kinds = Initialization(model, dataset.image_size).kinds
  optimizer = make_optimizer(training, schedule, kinds)
  first, batches = _peek(_to_devices(
      dataset.train_batches('train', training.batch_size, job.seed)
  ))
  with clock.spent_on('compile'):
    image = jnp.zeros((1, dataset.image_size, dataset.image_size, 3))
    variables = nn.meta.unbox(_compiled(
        jax.jit(functools.partial(model.init, train=False)), traced,
        jax.random.key(job.seed), image,
    )(jax.random.key(job.seed), image))
    state = jax_utils.replicate(_fresh(variables, optimizer.transformation))
    seed = jax_utils.replicate(jnp.int32(job.seed))
    with nn.intercept_methods(flax_pointwise):
      train_step = _compiled(
          make_train_step(model, optimizer.update(), training), traced, state,
          first, seed,
      )

  def step(batch: Any) -> None:
    nonlocal state
    state = train_step(state, batch, seed)
    jax.block_until_ready(state.sums)

  with clock.spent_on('train'):
    times = times_of_steps(step, batches, job.timed_steps)
  with clock.spent_on('evaluate'):
    first, batches = _peek(_to_devices(dataset.evaluation_batches(
        'validation', training.evaluation_batch_size
    )))
    with (
        clock.spent_on('compile'), nn.intercept_methods(flax_pointwise)
    ):
      evaluation_step = _compiled(
          make_evaluation_step(model), traced, state.variables, first
      )
    for batch in batches:
      sums = evaluation_step(state.variables, batch)
      float(jax_utils.unreplicate(sums)['loss'])
  with clock.spent_on('save'):
    _save(jax.device_get(jax_utils.unreplicate(state)))
  seconds = clock.seconds() | {'trace': sum(traced)}
  seconds['compile'] -= seconds['trace']
  return seconds, times


def _compiled(function: Any, traced: list[float], *arguments: Any) -> Any:
  """Traces, notes the time of that, and compiles, as a first call does."""
  begun = time.perf_counter()
  lowered = function.lower(*arguments)
  traced.append(time.perf_counter() - begun)
  return lowered.compile()


def _to_devices(batches: Iterator[Any]) -> Iterator[Any]:
  return jax_utils.prefetch_to_device(map(shard, batches), 2)


def _peek(batches: Iterator[Any]) -> tuple[Any, Iterator[Any]]:
  """The first batch, and all of them."""
  first = next(batches)
  return first, itertools.chain([first], batches)


def _fresh(variables: Any, optimizer: Any) -> TrainState:
  names = ('loss', 'accuracy', 'top5', 'count', 'non_finite')
  return TrainState(
      step=jnp.zeros((), jnp.int32), variables=dict(variables),
      optimizer=optimizer.init(variables['params']), ema={},
      sums={name: jnp.zeros(()) for name in names},
  )


def _save(state: Any) -> None:
  with (
      tempfile.TemporaryDirectory() as directory,
      ocp.StandardCheckpointer() as saver,
  ):
    saver.save(f'{directory}/0', state)
    saver.wait_until_finished()
