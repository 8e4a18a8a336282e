"""Times training steps against PyTorch's, and what compiling them takes.

  pip install -r requirements-benchmarks.txt
  PYTHONPATH=. python benchmarks/train_step.py

MobileNetV3-Large at 224 pixels and batch 8, and at 32 pixels and batch 32; the
smallest, median and largest network of configs/cifar10_small.py. Of each:
  ours       as `model.depthwise = 'auto'` trains it
  shifted    without kernels of our own
  native     with XLA's grouped convolution
  pytorch    benchmarks/torch_network.py, the same optimiser
All have as many threads as there are cores. The machine must be idle otherwise:
on a busy one PyTorch's threads, which wait for each other, take a hundred times
as long. Where it can't be idle, compare on a core of one's own:
  PYTHONPATH=. taskset --cpu-list 0 python benchmarks/train_step.py
Every case runs in a process of its own, where the four take turns: a step that
is not timed, then some that are. Ratios are taken within a round; medians and
quartiles are written. The process keeps the memory it frees, which serves
PyTorch too; with `given_back` another process measures both without that.
Others that take longer than two seconds a step are measured in one round only.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import torch
from absl import app
from absl import flags
from absl import logging
from rich.console import Console
from rich.table import Table

from benchmarks.step_cases import CASES
from benchmarks.step_cases import OurStep
from benchmarks.step_cases import make_case
from benchmarks.step_cases import step_machine
from benchmarks.torch_network import TorchNetwork
from benchmarks.torch_network import TorchStep
from layernas.networks.counting import count
from layernas.training.memory import keep_freed_memory

_OUTPUT = flags.DEFINE_string(
    'output', 'docs/results/train_step', 'Where the results are written.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 9, 'Times that all is measured.', 1)
_STEPS = flags.DEFINE_integer('steps', 3, 'Timed in a round.', 1)
_THREADS = flags.DEFINE_integer(
    'threads', len(os.sched_getaffinity(0)), 'Of XLA and of PyTorch.', 1
)
_CASES = flags.DEFINE_multi_enum('case', CASES, CASES, 'What is trained.')
_RUN = flags.DEFINE_enum(
    'run', '', ['', 'kept', 'given_back'],
    'Runs one case and prints it; for us.',
)

_BUSY = 0.5
_SLOW = 2.0
_PAUSE = 0.03
"""Seconds in which waiting threads of the other library fall asleep."""


def main(argv: list[str]) -> None:
  """Measures all and writes train_step.json."""
  del argv
  if _RUN.value:
    print(json.dumps(_run(_CASES.value[0])))
    return
  results = {}
  where = step_machine(torch=torch.__version__)
  if where['load_before'] > _BUSY:
    logging.warning(
        'load %s: other programs are running; PyTorch, whose threads wait for'
        ' each other, suffers most', where['load_before'],
    )
  for name in _CASES.value:
    results[name] = _in_own_process(name, 'kept') | {
        'given_back': _in_own_process(name, 'given_back')
    }
    print(name, json.dumps(results[name]['ratios']), flush=True)
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  text = json.dumps(
      {'machine': where, 'rounds': _ROUNDS.value, 'steps': _STEPS.value,
       'threads': _THREADS.value, 'cases': results},
      indent=1,
  )
  (output / 'train_step.json').write_text(text + '\n')
  Console().print(_table(results))


def _in_own_process(name: str, run: str) -> dict[str, Any]:
  done = subprocess.run(
      [sys.executable, __file__, f'--case={name}', f'--run={run}',
       f'--rounds={_ROUNDS.value}', f'--steps={_STEPS.value}',
       f'--threads={_THREADS.value}'],
      check=True, stdout=subprocess.PIPE, text=True,
      # What XLA takes for the number of cores.
      env=os.environ | {'NPROC': str(_THREADS.value)},
  )
  return json.loads(done.stdout.splitlines()[-1])


def _run(name: str) -> dict[str, Any]:
  """Measures one case."""
  kept = _RUN.value == 'kept'
  if kept:
    keep_freed_memory()
  jax.config.update('jax_enable_compilation_cache', False)
  torch.set_num_threads(_THREADS.value)
  case = make_case(name)
  forms = ('auto', 'shifted', 'native') if kept else ('auto',)
  ours = {form: OurStep(case, form) for form in forms}
  data = case.data()
  network = TorchNetwork(
      case.network, case.classes, case.config.model.batch_norm_momentum,
      case.config.model.batch_norm_epsilon,
  )
  steps = {'ours' if form == 'auto' else form: ours[form] for form in forms}
  steps['pytorch'] = TorchStep(
      network, case.config.training, data['image'], data['label']
  )
  counts = count(case.network, case.image_size, case.classes)
  return {
      'image_size': case.image_size, 'batch': case.batch,
      'optimizer': case.config.training.optimizer,
      'madds': counts.madds, 'params': counts.params,
      'compile_seconds': {
          form: {key: round(value, 2) for key, value in step.seconds.items()}
          for form, step in ours.items()
      },
  } | _measured(steps)


def _measured(steps: dict[str, Callable[[], None]]) -> dict[str, Any]:
  """Milliseconds a step, and ratios to ours within a round."""
  for step in steps.values():
    step()
  rounds: list[dict[str, float]] = []
  slow: set[str] = set()
  for _ in range(_ROUNDS.value):
    found = {}
    for name in steps.keys() - slow:
      found[name] = _milliseconds(steps[name])
      if found[name] > 1e3 * _SLOW and name != 'ours':
        slow.add(name)
    rounds.append(found)
  return {
      'milliseconds': {
          name: _quartiles([
              found[name] for found in rounds if name in found
          ])
          for name in steps
      },
      'ratios': {
          f'{name}/ours': _quartiles([
              found[name] / found['ours'] for found in rounds if name in found
          ])
          for name in steps if name != 'ours'
      },
  }


def _milliseconds(step: Callable[[], None]) -> float:
  """Of a step, after one that is not timed."""
  time.sleep(_PAUSE)
  begun = time.perf_counter()
  step()
  if time.perf_counter() - begun > _SLOW:
    return 1e3 * (time.perf_counter() - begun)
  begun = time.perf_counter()
  for _ in range(_STEPS.value):
    step()
  return 1e3 * (time.perf_counter() - begun) / _STEPS.value


def _quartiles(values: list[float]) -> list[float]:
  """First quartile, median, third quartile."""
  if len(values) == 1:
    values = values * 2
  return [
      round(value, 3)
      for value in statistics.quantiles(values, n=4, method='inclusive')
  ]


def _table(results: dict[str, Any]) -> Table:
  names = ('ours', 'shifted', 'native', 'pytorch')
  table = Table(
      'case', *names, 'pytorch/ours', 'compile', 'shifted',
      title='ms a step, and s to trace, lower and compile',
  )
  for case, result in results.items():
    low, middle, high = result['ratios']['pytorch/ours']
    table.add_row(
        case,
        *(f'{result["milliseconds"][name][1]:.0f}' for name in names),
        f'{middle:.2f} [{low:.2f}, {high:.2f}]',
        *(f'{sum(result["compile_seconds"][form].values()):.1f}'
          for form in ('auto', 'shifted')),
    )
  return table


if __name__ == '__main__':
  app.run(main)
