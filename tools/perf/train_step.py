"""Times training steps against PyTorch's, and what compiling them takes.

  pip install -r tools/perf/requirements.txt
  PYTHONPATH=. python tools/perf/train_step.py

MobileNetV3-Large at 224 pixels and batch 8, and at 32 pixels and batch 32; the
smallest, median and largest network of configs/cifar10_small.py. Of each:
  ours       as `model.depthwise = 'auto'` trains it
  shifted    without kernels of our own
  native     with XLA's grouped convolution
  pytorch    tools/perf/torch_network.py, the same optimiser
All have as many threads as there are cores. The machine must be idle otherwise:
on a busy one PyTorch's threads, which wait for each other, take a hundred times
as long. Where it can't be idle, compare on a core of one's own:
  PYTHONPATH=. taskset --cpu-list 0 python tools/perf/train_step.py
Every case runs in a process of its own, where the four take turns: a step that
is not timed, then some that are. Ratios are taken within a round; medians and
quartiles are written. The process keeps the memory it frees, which serves
PyTorch too; with `given_back` another process measures both without that.
Others that take longer than two seconds a step are measured in one round only.
--mode=report prints the stored figures as Markdown.
"""

import functools
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import jax
import torch
from absl import app
from absl import flags
from absl import logging

from layernas.networks.spec import count
from layernas.training.devices import keep_freed_memory
from tools.perf.rounds import measure_in_turns
from tools.perf.step_cases import CASES
from tools.perf.step_cases import OurStep
from tools.perf.step_cases import make_case
from tools.perf.step_cases import step_machine
from tools.perf.step_report import train_step_table
from tools.perf.torch_network import TorchNetwork
from tools.perf.torch_network import TorchStep
from tools.perf.torch_network import to_torch

_OUTPUT = flags.DEFINE_string(
    'output', 'docs/results/train_step', 'Where the results are written.'
)
_MODE = flags.DEFINE_enum(
    'mode', 'measure', ['measure', 'report'], 'What is done.'
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


def main(argv: list[str]) -> None:
  """Measures all and writes train_step.json; prints its table."""
  del argv
  if _RUN.value:
    print(json.dumps(_run(_CASES.value[0])))
    return
  path = pathlib.Path(_OUTPUT.value) / 'train_step.json'
  if _MODE.value == 'measure':
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_measure(), indent=1) + '\n')
  print(train_step_table(json.loads(path.read_text())))


def _measure() -> dict[str, Any]:
  """Measures all cases."""
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
  return {
      'machine': where, 'rounds': _ROUNDS.value, 'steps': _STEPS.value,
      'threads': _THREADS.value, 'cases': results,
  }


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
  network = TorchNetwork(
      case.network, case.classes, case.config.model.batch_norm_momentum,
      case.config.model.batch_norm_epsilon,
  )
  steps = {'ours' if form == 'auto' else form: ours[form] for form in forms}
  steps['pytorch'] = functools.partial(
      TorchStep(network, case.config.training), to_torch(case.data())
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
  } | measure_in_turns(steps, _ROUNDS.value, _STEPS.value)


if __name__ == '__main__':
  app.run(main)
