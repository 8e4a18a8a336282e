"""What XLA compiles for a network, and a count of what it compiles.

All that is compiled for a network is made here, before its training, perhaps in
another thread: its train step, its evaluation step and, for optimisers that
need one, what makes their first state. Nothing else of a training is a program
that depends on the network's shape.
"""

import dataclasses
import threading
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from jax import monitoring

from layernas import lookup
from layernas.data.dataset import Dataset
from layernas.errors import UserError
from layernas.models.convolutions import resolve
from layernas.models.initialization import Beginning
from layernas.models.initialization import Initialization
from layernas.models.network import example_of
from layernas.networks.network import NetworkLike
from layernas.networks.network import Task
from layernas.training.devices import split_over_devices
from layernas.training.devices import stand_in
from layernas.training.devices import stand_in_batch
from layernas.training.losses import classification
from layernas.training.optimizer import learning_rate
from layernas.training.optimizer import make_optimizer
from layernas.training.steps import TrainState
from layernas.training.steps import Variables
from layernas.training.steps import initial_state
from layernas.training.steps import make_evaluation_step
from layernas.training.steps import make_train_step


@dataclasses.dataclass(frozen=True)
class Programs:
  """A network's steps; calling them compiles nothing.

  Attributes:
    initial_state: makes of a seed the state before the first step, on the
      host.
    learning_rate: from the number of steps done before a step to its rate.
    train_step: (replicated state, sharded batch, replicated seed)
      -> state.
    evaluation_step: (replicated variables, sharded batch) -> metric
      sums.
  """

  initial_state: Callable[[int], TrainState]
  learning_rate: Callable[[int], float]
  train_step: Callable[..., TrainState]
  evaluation_step: Callable[..., dict[str, jax.Array]]


def create_model(
    config: Any, network: NetworkLike, num_classes: int
) -> nn.Module:
  """Flax module of a network with the config's `model` section."""
  make = lookup.find('network', network.flax_module, {})
  return make(config, network, num_classes)


@dataclasses.dataclass(frozen=True)
class Traceable:
  """A network's steps before they are compiled, each with its arguments.

  Attributes:
    initial_state: as of `Programs`.
    schedule: of the learning rate, by step.
    schedule_key: what it depends on.
    train: pmapped step, and stand-ins for state, batch and seed.
    evaluation: pmapped step, and stand-ins for variables and batch.
  """

  initial_state: Callable[[int], TrainState]
  schedule: optax.Schedule
  schedule_key: str
  train: tuple[Any, tuple[Any, ...]]
  evaluation: tuple[Any, tuple[Any, ...]]


def compile_programs(
    config: Any, network: NetworkLike, dataset: Dataset, split: str = 'train'
) -> Programs:
  """Compiles both steps of a network, or takes them from the cache on disk.

  Touches no state of the program: any thread may call it.

  Args:
    config: with sections data, model and training.
    network: to be trained.
    dataset: to train on.
    split: that is trained on.

  Returns:
    Its programs.
  """
  steps = make_steps(config, network, dataset, split)
  return Programs(
      steps.initial_state,
      _compiled_schedule(steps.schedule, steps.schedule_key),
      _compiled(*steps.train), _compiled(*steps.evaluation),
  )


def make_steps(
    config: Any, network: NetworkLike, dataset: Dataset, split: str = 'train'
) -> Traceable:
  """Both steps of a network; compiles next to nothing.

  Args:
    config: with sections data, model and training.
    network: to be trained.
    dataset: to train on; no image of it is read.
    split: that is trained on.

  Returns:
    The steps.

  Raises:
    UserError: the network's own task does not give a number for each example.
  """
  training = config.training
  model = create_model(config, network, dataset.num_classes)
  epoch = dataset.num_examples(split) // training.batch_size
  schedule = learning_rate(training, epoch)
  example, task = dataset.example(config.data.transfer), network.task
  initialization = Initialization(
      model, example_of(network, dataset.image_size), Beginning(
          config.model.initialization, config.model.classifier_deviation
      ),
  )
  optimizer = make_optimizer(training, schedule, kinds=initialization.kinds)
  update = optimizer.update(resolve(config.model.depthwise) == 'compiled')
  init = optimizer.compile_init(initialization.shapes['params'])

  metrics = _metric_names(model, initialization.shapes, example, task)

  def fresh(variables: Variables) -> TrainState:
    return initial_state(
        variables, init(variables['params']), training.ema_decay > 0, metrics
    )

  state = _stand_in_state(initialization.shapes, fresh)
  precision = config.model.matmul_precision
  return Traceable(
      lambda seed: fresh(initialization.draw(seed)), schedule,
      f'{epoch} {training.to_json()}',
      (make_train_step(model, update, training, task, precision), (
          state, stand_in_batch(example, training.batch_size),
          stand_in((), np.int32),
      )),
      (make_evaluation_step(model, task, precision), (
          state.evaluated,
          stand_in_batch(example, training.evaluation_batch_size),
      )),
  )


_EXAMPLES = 2
"""Of a batch whose shapes are looked at: with one, arrays that broadcast
against each other would look right."""

_OTHER_SUMS = ('loss', 'count', 'non_finite')
"""Names that the metrics of a task may not have."""


def _metric_names(
    model: nn.Module, shapes: Variables, example: Mapping[str, Any],
    task: Task | None,
) -> list[str]:
  """Names of what a task measures, which is a number for each example."""
  task = task or classification()
  batch = {
      name: jax.ShapeDtypeStruct((_EXAMPLES, *shape), dtype)
      for name, (shape, dtype) in example.items()
  } | {'mask': jax.ShapeDtypeStruct((_EXAMPLES,), np.float32)}

  def measured(variables: Variables, batch: Any) -> tuple[Any, Any]:
    outputs = model.apply(variables, task.inputs(batch), train=False)
    return task.loss(outputs, batch), task.metrics(outputs, batch)

  loss, metrics = jax.eval_shape(measured, shapes, batch)
  for name in _OTHER_SUMS:
    if name in metrics:
      raise UserError(
          f'space: its task has a metric {name!r}; allowed are names other than'
          f' {list(_OTHER_SUMS)}'
      )
  for name, one in {'loss': loss, **metrics}.items():
    if one.shape != (_EXAMPLES,):
      raise UserError(
          f"space: its task's {name} has shape {one.shape} for {_EXAMPLES}"
          f' examples; allowed is ({_EXAMPLES},), a number for each'
      )
  return list(metrics)


def _compiled(step: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
  """A pmapped step as an executable, which JAX's caches know nothing of.

  With several processes it takes and gives what all of them hold together, of
  which each has the part on its own devices: pmap joins the parts, and so does
  this. To call pmap would leave every network in its caches for good.
  """
  executable = step.lower(*arguments).compile()
  if jax.process_count() == 1:
    return executable
  everywhere, here = (
      jax.tree.leaves(executable.input_shardings)[0], split_over_devices()
  )
  share = jax.device_count() // jax.local_device_count()

  def joined(array: jax.Array) -> jax.Array:
    return _rearranged(array, array.shape[0] * share, everywhere)

  def parted(array: jax.Array) -> jax.Array:
    return _rearranged(array, array.shape[0] // share, here)

  return lambda *given: jax.tree.map(
      parted, executable(*jax.tree.map(joined, given))
  )


def _rearranged(array: jax.Array, rows: int, sharding: Any) -> jax.Array:
  """The same data on these devices as a part of another whole."""
  return jax.make_array_from_single_device_arrays(
      (rows, *array.shape[1:]), sharding,
      [part.data for part in array.addressable_shards],
  )


def _compiled_schedule(
    schedule: optax.Schedule, key: str
) -> Callable[[int], float]:
  """A schedule for the host, compiled once for all networks of a process.

  Args:
    schedule: step to learning rate.
    key: what it depends on.

  Returns:
    The same, as a number.
  """
  if key not in _schedules:
    step = jax.ShapeDtypeStruct((), np.int32)
    _schedules[key] = jax.jit(schedule).lower(step).compile()
  program = _schedules[key]
  return lambda step: float(program(np.int32(step)))


_schedules: dict[str, Callable[..., jax.Array]] = {}


def _stand_in_state(
    variables: Variables, fresh: Callable[[Variables], TrainState]
) -> TrainState:
  zeros = jax.tree.map(
      lambda leaf: np.zeros(leaf.shape, leaf.dtype), variables
  )
  return jax.tree.map(
      lambda leaf: stand_in(leaf.shape, leaf.dtype), fresh(zeros)
  )


_ASKED = '/jax/core/compile/backend_compile_duration'
_FOUND = '/jax/compilation_cache/cache_hits'

_lock = threading.Lock()
_compilations = 0


def compilations() -> int:
  """Programs compiled since this module was imported.

  One that was found in the cache on disk does not count; one that a thread is
  taking from there counts for that moment.
  """
  return _compilations


def _asked(event: str, seconds: float, **details: Any) -> None:
  del seconds, details
  if event == _ASKED:
    _add(1)


def _found(event: str, **details: Any) -> None:
  del details
  if event == _FOUND:
    _add(-1)


def _add(number: int) -> None:
  global _compilations  # noqa: PLW0603
  with _lock:
    _compilations += number


monitoring.register_event_duration_secs_listener(_asked)
monitoring.register_event_listener(_found)
