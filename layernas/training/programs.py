"""What XLA compiles for a network: its train step and its evaluation step.

All that is compiled for a network is made here, before its training, perhaps in
another thread; nothing else of a training depends on the network's shape as a
program does.

Counts what XLA compiles in this process.
"""

import dataclasses
import functools
import threading
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import monitoring

from layernas.data.dataset import Dataset
from layernas.models.convolutions import resolve
from layernas.models.initialization import Initialization
from layernas.models.network import Network
from layernas.networks.spec import NetworkSpec
from layernas.training.checks import DTYPES
from layernas.training.devices import AXIS
from layernas.training.devices import stand_in
from layernas.training.devices import stand_in_batch
from layernas.training.optimizer import learning_rate
from layernas.training.optimizer import make_optimizer
from layernas.training.optimizer import make_update
from layernas.training.steps import TrainState
from layernas.training.steps import Variables
from layernas.training.steps import initial_state
from layernas.training.steps import make_evaluation_step
from layernas.training.steps import make_train_step

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


@dataclasses.dataclass(frozen=True)
class Programs:
  """A network's steps; calling them compiles nothing.

  Attributes:
    initial_state: makes of a seed the state before the first step, on the
      host.
    train_step: (replicated state, sharded batch, replicated seed)
      -> state.
    evaluation_step: (replicated variables, sharded batch) -> metric
      sums.
  """

  initial_state: Callable[[int], TrainState]
  train_step: Callable[..., TrainState]
  evaluation_step: Callable[..., dict[str, jax.Array]]


def create_model(
    config: Any, network: NetworkSpec, num_classes: int
) -> Network:
  """Flax module of a network with the config's `model` section."""
  drops = config.training.epochs >= config.model.dropout_from_epochs
  return Network(
      spec=network,
      num_classes=num_classes,
      dtype=DTYPES[config.model.dtype],
      batch_norm_momentum=config.model.batch_norm_momentum,
      batch_norm_epsilon=config.model.batch_norm_epsilon,
      dropout_rate=config.model.dropout if drops else 0.0,
      axis_name=AXIS if config.model.sync_batch_norm else None,
      depthwise=config.model.depthwise,
  )


def compile_programs(
    config: Any, network: NetworkSpec, dataset: Dataset, split: str = 'train'
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
  training = config.training
  model = create_model(config, network, dataset.num_classes)
  epoch = dataset.num_examples(split) // training.batch_size
  schedule = learning_rate(training, epoch)
  initialization = Initialization(model, dataset.image_size)
  kinds = initialization.kinds
  update = make_update(
      training, schedule, resolve(config.model.depthwise) == 'compiled', kinds
  )
  fresh = functools.partial(
      initial_state, optimizer=make_optimizer(training, schedule, kinds),
      ema=training.ema_decay > 0,
  )
  state = _stand_in_state(initialization.shapes, fresh)
  shape = dataset.image_size, config.data.transfer
  train_step = make_train_step(
      model, update, training, training.log_every_steps
  )
  evaluation_step = make_evaluation_step(model)
  return Programs(
      lambda seed: fresh(initialization.draw(seed)),
      _compiled(
          train_step, state, stand_in_batch(*shape, training.batch_size),
          stand_in((), np.int32),
      ),
      _compiled(
          evaluation_step, state.evaluated,
          stand_in_batch(*shape, training.evaluation_batch_size),
      ),
  )


def _compiled(step: Any, *arguments: Any) -> Callable[..., Any]:
  """A pmapped step as an executable, which JAX's caches know nothing of.

  With several processes pmap itself joins their parts of an argument: then it
  is the step, which finds in JAX's caches what was compiled for it.
  """
  executable = step.lower(*arguments).compile()
  return executable if jax.process_count() == 1 else step


def _stand_in_state(
    variables: Variables, fresh: Callable[[Variables], TrainState]
) -> TrainState:
  zeros = jax.tree.map(
      lambda leaf: np.zeros(leaf.shape, leaf.dtype), variables
  )
  return jax.tree.map(
      lambda leaf: stand_in(leaf.shape, leaf.dtype), fresh(zeros)
  )
