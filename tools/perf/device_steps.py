"""What tools/perf/accelerator.py lets other processes do with a device.

  python -m tools.perf.device_steps '{"job": "facts"}'

A process does one thing, so that its peak of memory is of that alone, and
prints it as its last line, in JSON. The jobs:
  facts      what the device is
  step       times training steps of a network
  ten_steps  trains a small network for ten steps and writes what became of it
"""

import functools
import importlib.metadata
import importlib.util
import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any
from typing import Protocol

import jax
import numpy as np

from configs import default
from layernas import lookup
from layernas.executors.processes import accelerators
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.reference import REFERENCE_NETWORKS
from layernas.networks.spec import NetworkSpec
from layernas.training import losses
from layernas.training.devices import prepare
from layernas.training.devices import unreplicate
from tools.perf.train_step import Case
from tools.perf.train_step import OurStep
from tools.perf.train_step import placed
from tools.perf.train_step import quartiles

CLASSES = 1000
"""Of the network that is timed."""

STEPS = 10
"""Of a training that is compared."""


def facts(network: str, image_size: int) -> dict[str, Any]:
  """What the device is, as far as this process sees it, and what is timed.

  Args:
    network: as `network_of` takes it.
    image_size: side in pixels.

  Returns:
    'kind', 'platform', 'chips' (of a CPU: devices), 'bytes' of memory (None
    where JAX does not know), 'versions', and the network's 'madds'.
  """
  madds = network_of(network).counts(image_size, CLASSES).madds
  devices = jax.local_devices()
  memory = devices[0].memory_stats() or {}
  return {
      'kind': devices[0].device_kind, 'platform': devices[0].platform,
      'chips': accelerators(devices), 'bytes': memory.get('bytes_limit'),
      'madds': madds,
      'versions': {
          name: importlib.metadata.version(name)
          for name in ('jax', 'jaxlib', 'flax', 'optax')
      },
  }


class _Timed(Protocol):
  """A training step on a device.

  Attributes:
    seconds: of its preparation, by name.
  """

  seconds: dict[str, float]

  def begin(self) -> None:
    """Runs a step; need not wait for it."""


_WARM_UP = 3
_ROUNDS = 5
_ROUND_SECONDS = 0.5
"""Of a round at least, unless a single step takes longer."""


def network_of(name: str) -> NetworkSpec:
  """A network by name.

  Args:
    name: a published one, or module:function that gives a specification.

  Returns:
    Its specification.

  Raises:
    UserError: there is none.
  """
  registered = {
      known: functools.partial(REFERENCE_NETWORKS.get, known)
      for known in REFERENCE_NETWORKS
  }
  return lookup.find('flag --network', name, registered)()


def step(
    form: str, network: str, dtype: str, batch: int, image_size: int,
    platform: str,
) -> dict[str, Any]:
  """Times training steps of a network on a batch that stays.

  Args:
    form: a key of `FORMS`.
    network: as `network_of` takes it.
    dtype: float32 or bfloat16.
    batch: images of a step.
    image_size: side in pixels.
    platform: where JAX trains; PyTorch has to train there too.

  Returns:
    'status': ok, 'out of memory' or 'not installed'. Of those that are ok
    'images_per_second' (quartiles over rounds), 'compile_seconds',
    'peak_bytes' (None where it is unknown) and 'network'.
  """
  config = default.get_config()
  config.model.dtype = dtype
  config.training.batch_size = batch
  case = Case(network_of(network), config, image_size, CLASSES)
  try:
    return FORMS[form](case, platform)
  except Exception as error:
    if not is_out_of_memory(error):
      raise
    return {'status': 'out of memory'}


def is_out_of_memory(error: Exception) -> bool:
  """Whether XLA, PyTorch or Python had no memory for something."""
  text = str(error)
  return isinstance(error, MemoryError) or any(
      sign in text for sign in ('RESOURCE_EXHAUSTED', 'out of memory')
  )


def _of_jax(
    make: Callable[[Case], _Timed]
) -> Callable[[Case, str], dict[str, Any]]:
  def measured(case: Case, platform: str) -> dict[str, Any]:
    del platform
    prepare(deterministic=False)
    made = make(case)
    rates = timed(
        made.begin, lambda: jax.block_until_ready(made.state), case.batch
    )
    memory = jax.local_devices()[0].memory_stats() or {}
    return {
        'status': 'ok', 'images_per_second': rates,
        'compile_seconds': round(sum(made.seconds.values()), 1),
        'peak_bytes': memory.get('peak_bytes_in_use'),
        'network': type(made).__name__,
    }

  return measured


def _flax(case: Case) -> _Timed:
  # Beside the other imports it would be one more reason for a job to fail.
  from tools.perf.flax_step import FlaxStep  # noqa: PLC0415

  return FlaxStep(case)


def _pytorch(case: Case, platform: str) -> dict[str, Any]:
  if not importlib.util.find_spec('torch'):
    return {'status': 'not installed'}
  # Optional.
  import torch  # noqa: PLC0415

  from tools.perf.torch_step import TorchOnDevice  # noqa: PLC0415

  if platform != 'cpu' and not torch.cuda.is_available():
    return {
        'status': 'not installed', 'message': f'PyTorch sees no {platform}'
    }
  made = TorchOnDevice(case, 'cpu' if platform == 'cpu' else 'cuda')
  return {
      'status': 'ok',
      'images_per_second': timed(made.begin, made.wait, case.batch),
      'compile_seconds': None, 'peak_bytes': made.peak_bytes(),
      'network': made.network,
  }


FORMS: dict[str, Callable[[Case, str], dict[str, Any]]] = {
    'ours': _of_jax(lambda case: OurStep(case, 'auto')),
    'flax': _of_jax(_flax),
    'pytorch': _pytorch,
}
"""Whose step."""


def timed(
    begin: Callable[[], None], wait: Callable[[], Any], batch: int
) -> list[float]:
  """How fast steps follow each other; the host runs ahead of them.

  Args:
    begin: begins a step.
    wait: waits for all that have begun.
    batch: images of a step.

  Returns:
    Images a second: quartiles over rounds.
  """
  for _ in range(_WARM_UP):
    begin()
  wait()
  once = _seconds(begin, wait, 1)
  steps = max(1, math.ceil(_ROUND_SECONDS / once))
  return quartiles([
      batch * steps / _seconds(begin, wait, steps) for _ in range(_ROUNDS)
  ])


def _seconds(
    begin: Callable[[], None], wait: Callable[[], Any], steps: int
) -> float:
  begun = time.perf_counter()
  for _ in range(steps):
    begin()
  wait()
  return time.perf_counter() - begun


def ten_steps(file: str) -> dict[str, Any]:
  """Trains the default network of cifar10_small, always from the same weights.

  Float32, matrix products in the highest precision, SGD, ten batches of random
  numbers.

  Args:
    file: .npz to write: 'losses' of the steps; of every variable N, 'before N'
      and 'after N'.

  Returns:
    'steps'.
  """
  config = default.get_config()
  config.model.matmul_precision = 'highest'
  config.training.log_every_steps = 1
  config.training.batch_size = 32
  network = SPACES['cifar10_small']().base
  case = Case(network, config, 32, 10)
  prepare(deterministic=True)
  made = OurStep(case, 'auto')
  written = _leaves('before', made.state)
  found = []
  for number in range(STEPS):
    made.batch = placed(case.data(number))
    made()
    found.append(losses.means(unreplicate(made.state.sums))['loss'])
  np.savez(
      file, losses=np.float64(found), **written, **_leaves('after', made.state)
  )
  return {'steps': STEPS}


def _leaves(when: str, state: Any) -> dict[str, np.ndarray]:
  found, _ = jax.tree.flatten_with_path(unreplicate(state.variables))
  return {
      f'{when} {jax.tree_util.keystr(path)}': np.asarray(leaf)
      for path, leaf in found
  }


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    'facts': facts, 'step': step, 'ten_steps': ten_steps,
}


def main() -> None:
  """Does what the only argument says."""
  settings = json.loads(sys.argv[1])
  # Programs are to be compiled, not to be found.
  jax.config.update('jax_enable_compilation_cache', False)
  print(json.dumps(JOBS[settings.pop('job')](**settings)), flush=True)


if __name__ == '__main__':
  main()
