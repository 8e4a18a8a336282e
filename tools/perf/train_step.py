"""Times training steps against PyTorch's, and their compilation.

  .venv/bin/pip install -r tools/perf/requirements.txt
  .venv/bin/python tools/perf/train_step.py
  .venv/bin/python tools/perf/train_step.py --mode=report

The cases are MobileNetV3-Large at 224 pixels and batch 8, the same network at
32 pixels and batch 32, and the smallest, median and largest network of the
space cifar10_small. Each is measured in four ways:
  ours       as `model.depthwise = 'auto'` trains it
  shifted    without the package's kernels
  native     with XLA's grouped convolution
  pytorch    TorchNetwork of tools/perf/torch_loop.py, the same optimiser
All have as many threads as there are cores. The machine must be idle otherwise:
PyTorch's threads wait for each other and take a hundred times as long on a busy
one. If it cannot be idle, compare on a single core:
  taskset --cpu-list 0 .venv/bin/python tools/perf/train_step.py

Every case runs in a process of its own, where the four take turns: one untimed
step, then some timed ones. Ratios are taken within a round; medians and
quartiles are stored. The process keeps the memory it frees, which helps PyTorch
too; with `given_back` another process measures both without that. A step above
two seconds that is not ours is measured in one round only. --mode=report prints
the stored figures as Markdown.
"""

import dataclasses
import functools
import importlib.metadata
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import jaxlib
import numpy as np
from absl import flags
from absl import logging
from ml_collections import ConfigDict

from configs import default
from layernas.models.initialization import Initialization
from layernas.networks.mobilenet_spaces import SPACES
from layernas.networks.reference import mobilenet_v3_large
from layernas.networks.spec import NetworkSpec
from layernas.runs import cli
from layernas.study.report import table_text
from layernas.study.report_tables import Table
from layernas.training.devices import keep_freed_memory
from layernas.training.devices import replicate
from layernas.training.devices import shard
from layernas.training.devices import split_over_devices
from layernas.training.optimizer import make_optimizer
from layernas.training.programs import create_model
from layernas.training.steps import initial_state
from layernas.training.steps import make_train_step
from tools.perf import small_search
from tools.perf.machine import machine

CASES = {
    'mobilenet_v3_large_224': 'MobileNetV3-Large, 224',
    'mobilenet_v3_large_32': 'MobileNetV3-Large, 32',
    'smallest': 'smallest candidate', 'median': 'median candidate',
    'largest': 'largest candidate',
}
"""Names and labels. The last three are chosen by MAdds in the space
cifar10_small."""


@dataclasses.dataclass(frozen=True)
class Case:
  """A network and the batch it is trained on.

  Attributes:
    network: the specification.
    config: with the sections model and training.
    image_size: side in pixels.
    classes: number of labels.
  """

  network: NetworkSpec
  config: ConfigDict
  image_size: int
  classes: int

  @property
  def batch(self) -> int:
    """Images per step."""
    return self.config.training.batch_size

  def data(self, number: int = 0) -> dict[str, np.ndarray]:
    """A batch of random numbers, each number another one."""
    rng = np.random.default_rng(number)
    side = self.image_size
    return {
        'image': rng.standard_normal((self.batch, side, side, 3), np.float32),
        'label': rng.integers(self.classes, size=self.batch).astype(np.int32),
        'mask': np.ones(self.batch, np.float32),
    }


def make_case(name: str) -> Case:
  """Makes one of `CASES`."""
  if name.startswith('mobilenet'):
    config = default.get_config()
    config.training.optimizer = 'rmsprop'
    size = int(name.rpartition('_')[2])
    config.training.batch_size = 8 if size == 224 else 32
    classes = 1000 if size == 224 else 10
    return Case(mobilenet_v3_large(), config, size, classes)
  config = small_search.get_config()
  size = config.data.image_size
  networks = _networks(small_search.SPACE, size)
  place = {'smallest': 0, 'median': len(networks) // 2, 'largest': -1}[name]
  return Case(networks[place], config, size, 10)


def _networks(space_name: str, image_size: int) -> list[NetworkSpec]:
  """All networks of a space, sorted by MAdds."""
  space = SPACES[space_name]()
  counts = space.search_space.option_counts
  networks = map(space.network, itertools.product(*map(range, counts)))
  return sorted(
      networks, key=lambda network: network.counts(image_size, 10).madds
  )


class OurStep:
  """A compiled training step and its state.

  Attributes:
    seconds: of tracing and lowering, and of compiling.
    program: the compiled program.
    state: replicated; that of the last step.
    batch: on the devices; of the steps to come.
  """

  def __init__(self, case: Case, depthwise: str):
    """Compiles the step.

    Args:
      case: what to train.
      depthwise: field of the model section, with everything that follows it.
    """
    config = case.config.copy_and_resolve_references().unlock()
    config.model.depthwise = depthwise
    training = config.training
    model = create_model(config, case.network, case.classes)
    initialization = Initialization(model, case.image_size)
    optimizer = make_optimizer(training, _rate, initialization.kinds)
    variables = initialization.draw(seed=0)
    init = optimizer.compile_init(variables['params'])
    state = initial_state(variables, init(variables['params']), ema=False)
    update = optimizer.update(compiled=depthwise == 'auto')
    step = make_train_step(
        model, update, training, precision=config.model.matmul_precision
    )
    self.batch = placed(case.data())
    self.state = replicate(state)
    self._seed = replicate(np.int32(0))
    begun = time.perf_counter()
    lowered = step.lower(self.state, self.batch, self._seed)
    compiled_from = time.perf_counter()
    self.program = lowered.compile()
    self.seconds = {
        'trace_and_lower': compiled_from - begun,
        'compile': time.perf_counter() - compiled_from,
    }

  def begin(self) -> None:
    """Runs a step, on accelerators without waiting for it."""
    self.state = self.program(self.state, self.batch, self._seed)

  def __call__(self) -> None:
    """Runs a step."""
    self.begin()
    jax.block_until_ready(self.state)


def placed(batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
  """A batch split over the devices of this process, as steps take it."""
  return jax.device_put(shard(batch), split_over_devices())


def _rate(step: Any) -> float:
  del step
  return 1e-3


def step_machine(**more: Any) -> dict[str, Any]:
  """Facts about this machine before steps are measured.

  Args:
    **more: versions of further packages.

  Returns:
    JSON types.
  """
  return machine(
      jax=jax.__version__, jaxlib=jaxlib.__version__,
      load_before=round(os.getloadavg()[0], 2), **more,
  )


_SLOW = 2.0
"""Seconds of a step above which it is measured in one round only."""

_PAUSE = 0.03
"""Seconds that waiting threads of the other library take to fall asleep."""


def measure_in_turns(
    steps: Mapping[str, Callable[[], None]], rounds: int, repeats: int
) -> dict[str, Any]:
  """Measures steps in turns, after one call of each.

  Args:
    steps: 'ours' and others by name. Slow others are measured in the first
      round only.
    rounds: number of rounds.
    repeats: timed calls per round, after an untimed one.

  Returns:
    Quartiles: 'milliseconds' of a step, and 'ratios' to ours within a round.
  """
  for step in steps.values():
    step()
  measured: list[dict[str, float]] = []
  slow: set[str] = set()
  for _ in range(rounds):
    found = {}
    for name in steps.keys() - slow:
      found[name] = _milliseconds(steps[name], repeats)
      if found[name] > 1e3 * _SLOW and name != 'ours':
        slow.add(name)
    measured.append(found)
  return {
      'milliseconds': {
          name: quartiles([
              found[name] for found in measured if name in found
          ])
          for name in steps
      },
      'ratios': {
          f'{name}/ours': quartiles([
              found[name] / found['ours'] for found in measured if name in found
          ])
          for name in steps if name != 'ours'
      },
  }


def _milliseconds(step: Callable[[], None], repeats: int) -> float:
  """Time of a step, after an untimed one."""
  time.sleep(_PAUSE)
  begun = time.perf_counter()
  step()
  if time.perf_counter() - begun > _SLOW:
    return 1e3 * (time.perf_counter() - begun)
  begun = time.perf_counter()
  for _ in range(repeats):
    step()
  return 1e3 * (time.perf_counter() - begun) / repeats


def quartiles(values: Sequence[float]) -> list[float]:
  """First quartile, median and third quartile, rounded."""
  if len(values) == 1:
    values = [*values, *values]
  return [
      round(value, 3)
      for value in statistics.quantiles(values, n=4, method='inclusive')
  ]


def train_step_table(stored: Mapping[str, Any]) -> str:
  """Makes the table of train_step.json, with a row for each case.

  Args:
    stored: content of the file.

  Returns:
    Markdown without a newline at the end.
  """
  header = (
      'network, pixels', 'batch', 'ours, ms', 'PyTorch / ours',
      'shifted / ours', "XLA's convolution / ours", 'compile, s',
      'shifted: compile, s', 'ours, memory given back, ms',
      'PyTorch, memory given back, ms',
  )
  return table_text(Table('', header, tuple(
      (CASES[name], *_cells(case))
      for name, case in stored['cases'].items()
  )))


def _cells(case: Mapping[str, Any]) -> list[str]:
  given_back = case['given_back']['milliseconds']
  return [
      str(case['batch']), f'{case["milliseconds"]["ours"][1]:.0f}',
      *(_ratio(case['ratios'][f'{name}/ours'])
        for name in ('pytorch', 'shifted', 'native')),
      *(f'{sum(case["compile_seconds"][form].values()):.1f}'
        for form in ('auto', 'shifted')),
      *(f'{given_back[name][1]:.0f}' for name in ('ours', 'pytorch')),
  ]


def _ratio(quartiles: list[float]) -> str:
  low, middle, high = quartiles
  return f'{middle:.2f} ({low:.2f} to {high:.2f})'


_FLAGS = flags.FLAGS
_BUSY = 0.5
"""Load above which other programs disturb the measurement."""


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  cli.define_path(
      'output', 'Where the results are written.',
      default='docs/results/train_step',
  )
  flags.DEFINE_enum(
      'mode', 'measure', ['measure', 'report'], 'What is done.'
  )
  flags.DEFINE_integer('rounds', 9, 'Times that all is measured.', 1)
  flags.DEFINE_integer('steps', 3, 'Timed in a round.', 1)
  flags.DEFINE_integer(
      'threads', len(os.sched_getaffinity(0)), 'Of XLA and of PyTorch.', 1
  )
  flags.DEFINE_multi_enum('case', list(CASES), list(CASES), 'What is trained.')
  flags.DEFINE_enum(
      'run', '', ['', 'kept', 'given_back'],
      'Runs one case in this process and prints it.',
  )


def main() -> None:
  """Measures all cases and writes train_step.json; prints its table."""
  if _FLAGS.run:
    print(json.dumps(_run(_FLAGS.case[0])))
    return
  path = pathlib.Path(_FLAGS.output) / 'train_step.json'
  if _FLAGS.mode == 'measure':
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_measure(), indent=1) + '\n')
  print(train_step_table(json.loads(path.read_text())))


def _measure() -> dict[str, Any]:
  """Measures all cases."""
  results = {}
  where = step_machine(torch=importlib.metadata.version('torch'))
  if where['load_before'] > _BUSY:
    logging.warning(
        'load %s: other programs are running; PyTorch suffers most, since its'
        ' threads wait for each other', where['load_before'],
    )
  for name in _FLAGS.case:
    results[name] = _in_own_process(name, 'kept') | {
        'given_back': _in_own_process(name, 'given_back')
    }
    print(name, json.dumps(results[name]['ratios']), flush=True)
  return {
      'machine': where, 'rounds': _FLAGS.rounds, 'steps': _FLAGS.steps,
      'threads': _FLAGS.threads, 'cases': results,
  }


def _in_own_process(name: str, run: str) -> dict[str, Any]:
  done = subprocess.run(
      [sys.executable, __file__, f'--case={name}', f'--run={run}',
       f'--rounds={_FLAGS.rounds}', f'--steps={_FLAGS.steps}',
       f'--threads={_FLAGS.threads}'],
      check=True, stdout=subprocess.PIPE, text=True,
      # XLA takes this for the number of cores.
      env=os.environ | {'NPROC': str(_FLAGS.threads)},
  )
  return json.loads(done.stdout.splitlines()[-1])


def _run(name: str) -> dict[str, Any]:
  """Measures one case."""
  # Optional packages; reports do without them.
  import torch  # noqa: PLC0415

  from tools.perf import torch_loop  # noqa: PLC0415

  kept = _FLAGS.run == 'kept'
  if kept:
    keep_freed_memory()
  jax.config.update('jax_enable_compilation_cache', False)
  torch.set_num_threads(_FLAGS.threads)
  case = make_case(name)
  forms = ('auto', 'shifted', 'native') if kept else ('auto',)
  ours = {form: OurStep(case, form) for form in forms}
  network = torch_loop.TorchNetwork(
      case.network, case.classes, case.config.model.batch_norm_momentum,
      case.config.model.batch_norm_epsilon,
  )
  steps = {'ours' if form == 'auto' else form: ours[form] for form in forms}
  steps['pytorch'] = functools.partial(
      torch_loop.TorchStep(network, case.config.training),
      torch_loop.to_torch(case.data()),
  )
  counts = case.network.counts(case.image_size, case.classes)
  return {
      'image_size': case.image_size, 'batch': case.batch,
      'optimizer': case.config.training.optimizer,
      'madds': counts.madds, 'params': counts.params,
      'compile_seconds': {
          form: {key: round(value, 2) for key, value in step.seconds.items()}
          for form, step in ours.items()
      },
  } | measure_in_turns(steps, _FLAGS.rounds, _FLAGS.steps)


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
