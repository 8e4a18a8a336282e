"""Networks one after the other, as the loop of Flax's ImageNet example.

For each: build the module, init under jit, pmap the train step and the
evaluation step, grouped convolutions for the depthwise ones, Flax's own for the
1x1 ones, no kernels of ours, a checkpoint at the end. It is to run without a
compilation cache: JAX_ENABLE_COMPILATION_CACHE=false.
"""

import contextlib
import functools
import itertools
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from flax import jax_utils
from ml_collections import ConfigDict

from layernas.models import blocks
from layernas.models import network as network_module
from layernas.training.devices import shard
from layernas.training.devices import wait_on_cpu
from layernas.training.optimizer import learning_rate
from layernas.training.optimizer import make_optimizer
from layernas.training.programs import compilations
from layernas.training.programs import create_model
from layernas.training.steps import TrainState
from layernas.training.steps import make_evaluation_step
from layernas.training.steps import make_train_step
from layernas.training.wall_time import WallTime
from tools.perf.one_by_one import Job
from tools.perf.one_by_one import times_of_steps
from tools.perf.one_by_one import train_one_by_one
from tools.perf.our_search import jax_machine


def measure(
    config: ConfigDict, candidates: Sequence[Mapping[str, Any]],
    timed_steps: int,
) -> dict[str, Any]:
  """Trains the networks of our candidates; see `train_one_by_one`.

  Args:
    config: of the search.
    candidates: those of `our_search.measure`.
    timed_steps: that are run of each training; its time is scaled up.

  Returns:
    JSON types: 'candidates', 'compilations', and 'naive_steps', those run.
  """
  config = config.copy_and_resolve_references().unlock()
  config.model.depthwise = 'native'
  before = compilations()
  with _flax_modules():
    found = train_one_by_one(config, candidates, timed_steps, _train)
  return {
      'naive_steps': timed_steps,
      'compilations': compilations() - before,
      'candidates': found,
      'machine': jax_machine(),
  }


@contextlib.contextmanager
def _flax_modules() -> Iterator[None]:
  """1x1 convolutions and initial weights as Flax users write them."""
  with contextlib.ExitStack() as stack:
    for module in (blocks, network_module):
      stack.enter_context(mock.patch.multiple(
          module, NO_INIT=nn.initializers.lecun_normal(),
          PointwiseConv=_pointwise,
      ))
    yield


def _pointwise(filters: int, dtype: Any, init: Any, name: str) -> nn.Module:
  return nn.Conv(
      filters, (1, 1), use_bias=False, dtype=dtype, kernel_init=init, name=name
  )


def _train(job: Job) -> tuple[dict[str, float], list[float]]:
  config, training, dataset = job.config, job.config.training, job.dataset
  clock, traced = WallTime(), []
  model = create_model(config, job.network, dataset.num_classes)
  schedule = learning_rate(
      training, dataset.num_examples('train') // training.batch_size
  )
  optimizer = make_optimizer(training, schedule)
  first, batches = _peek(_to_devices(
      dataset.train_batches('train', training.batch_size, job.seed)
  ))
  with clock.spent_on('compile'):
    image = jnp.zeros((1, dataset.image_size, dataset.image_size, 3))
    variables = _compiled(
        jax.jit(functools.partial(model.init, train=False)), traced,
        jax.random.key(job.seed), image,
    )(jax.random.key(job.seed), image)
    state = jax_utils.replicate(_fresh(variables, optimizer.transformation))
    seed = jax_utils.replicate(jnp.int32(job.seed))
    train_step = _compiled(
        make_train_step(model, optimizer.update(), training), traced, state,
        first, seed,
    )

  def step(batch: Any) -> None:
    nonlocal state
    state = train_step(state, batch, seed)
    wait_on_cpu(state.sums)

  with clock.spent_on('train'):
    times = times_of_steps(step, batches, job.timed_steps)
  with clock.spent_on('evaluate'):
    first, batches = _peek(_to_devices(dataset.evaluation_batches(
        'validation', training.evaluation_batch_size
    )))
    with clock.spent_on('compile'):
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
  """Traces, notes how long that took, and compiles, as a first call does."""
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
