"""The networks whose training steps are timed, and a step of ours."""

import dataclasses
import itertools
import os
import time
from typing import Any

import jax
import jaxlib
import numpy as np
from ml_collections import ConfigDict

from configs import cifar10_small
from configs import default
from layernas.models.initialization import initial_variables
from layernas.networks.counting import count
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.reference import mobilenet_v3_large
from layernas.networks.spec import NetworkSpec
from layernas.training.devices import replicate
from layernas.training.devices import shard
from layernas.training.optimizer import make_optimizer
from layernas.training.programs import create_model
from layernas.training.steps import initial_state
from layernas.training.steps import make_train_step
from tools.perf.machine import machine

CASES = (
    'mobilenet_v3_large_224', 'mobilenet_v3_large_32', 'smallest', 'median',
    'largest',
)
"""The last three by MAdds among all networks of configs/cifar10_small.py."""


@dataclasses.dataclass(frozen=True)
class Case:
  """A network and the batch it is trained on.

  Attributes:
    network: what is trained.
    config: how: sections model and training.
    image_size: side in pixels.
    classes: of the labels.
  """

  network: NetworkSpec
  config: ConfigDict
  image_size: int
  classes: int

  @property
  def batch(self) -> int:
    """Images of a step."""
    return self.config.training.batch_size

  def data(self) -> dict[str, np.ndarray]:
    """A batch of random numbers."""
    rng = np.random.default_rng(0)
    side = self.image_size
    return {
        'image': rng.standard_normal((self.batch, side, side, 3), np.float32),
        'label': rng.integers(self.classes, size=self.batch).astype(np.int32),
        'mask': np.ones(self.batch, np.float32),
    }


def make_case(name: str) -> Case:
  """A case of `CASES`."""
  if name.startswith('mobilenet'):
    config = default.get_config()
    config.training.optimizer = 'rmsprop'
    size = int(name.rpartition('_')[2])
    config.training.batch_size = 8 if size == 224 else 32
    classes = 1000 if size == 224 else 10
    return Case(mobilenet_v3_large(), config, size, classes)
  config = cifar10_small.get_config()
  size = config.data.image_size
  networks = _networks(config.space, size)
  place = {'smallest': 0, 'median': len(networks) // 2, 'largest': -1}[name]
  return Case(networks[place], config, size, 10)


def _networks(space_name: str, image_size: int) -> list[NetworkSpec]:
  """All networks of a space by their MAdds."""
  space = SPACES[space_name]()
  counts = space.search_space.option_counts
  networks = map(space.network, itertools.product(*map(range, counts)))
  return sorted(
      networks, key=lambda network: count(network, image_size, 10).madds
  )


class OurStep:
  """A compiled training step and its state.

  Attributes:
    seconds: of tracing and lowering, and of compiling.
    program: the compiled program.
  """

  def __init__(self, case: Case, depthwise: str):
    """Compiles it.

    Args:
      case: what to train.
      depthwise: field of the model section; all that goes with it.
    """
    config = case.config.copy_and_resolve_references().unlock()
    config.model.depthwise = depthwise
    training = config.training
    model = create_model(config, case.network, case.classes)
    optimizer = make_optimizer(training, _rate)
    variables = initial_variables(model, case.image_size, seed=0)
    init = optimizer.compile_init(variables['params'])
    state = initial_state(variables, init(variables['params']), ema=False)
    update = optimizer.update(compiled=depthwise == 'auto')
    step = make_train_step(model, update, training)
    self._arguments = (
        jax.device_put(shard(case.data())), replicate(np.int32(0))
    )
    self._state = replicate(state)
    begun = time.perf_counter()
    lowered = step.lower(self._state, *self._arguments)
    compiled_from = time.perf_counter()
    self.program = lowered.compile()
    self.seconds = {
        'trace_and_lower': compiled_from - begun,
        'compile': time.perf_counter() - compiled_from,
    }

  def __call__(self) -> None:
    """Runs a step."""
    self._state = self.program(self._state, *self._arguments)
    jax.block_until_ready(self._state)


def _rate(step: Any) -> float:
  del step
  return 1e-3


def step_machine(**more: Any) -> dict[str, Any]:
  """Facts of this machine before steps are measured.

  Args:
    **more: versions of what else is measured.

  Returns:
    JSON types.
  """
  return machine(
      jax=jax.__version__, jaxlib=jaxlib.__version__,
      load_before=round(os.getloadavg()[0], 2), **more,
  )
