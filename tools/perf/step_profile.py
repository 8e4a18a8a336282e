"""Shows where the time of a training step goes, and what the machine can do.

  .venv/bin/python tools/perf/step_profile.py
  .venv/bin/python tools/perf/step_profile.py --mode=report

It profiles the cases of tools/perf/train_step.py by parts of the network,
forward and backward, with XLA's own times of a step's operations. Operations
may overlap, and profiling slows them down: shares mean more than milliseconds.

The roofline is the fastest matrix product and the fastest copy of a large array
that JAX gives on this machine. At that speed the table gives the time of a
step's arithmetic alone (three times the forward pass's) and of its features
alone, each read and written as often as the package's passes do.
--mode=report prints the stored figures as Markdown.
"""

import collections
import itertools
import json
import pathlib
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags
from jax.profiler import ProfileData

from layernas.networks.counting import output_size
from layernas.runs import cli
from layernas.study.report import table_text
from layernas.study.report_tables import Table
from layernas.training.devices import keep_freed_memory
from tools.perf.train_step import CASES
from tools.perf.train_step import Case
from tools.perf.train_step import OurStep
from tools.perf.train_step import make_case
from tools.perf.train_step import step_machine

_PARTS = {
    'expand': 'pointwise', 'project': 'pointwise', 'head': 'pointwise',
    'expand_norm': 'norm', 'depthwise_norm': 'norm', 'project_norm': 'norm',
    'stem_norm': 'norm', 'head_norm': 'norm', 'depthwise': 'depthwise',
    'squeeze': 'squeeze', 'stem': 'stem', 'hidden': 'dense',
    'classifier': 'dense',
}
"""Parts by submodule; the optimiser, the loss and sums belong to none."""

# A submodule's name follows one of these in the path of an operation.
_PARENT = re.compile(r'block\d+|(.*\()?Network\)*')

_PASSES = 14
"""How often a step reads or writes every number that a batch norm receives.

Forward, the convolution writes it, the means read it, and the norm reads it and
writes its output, which the next convolution reads. Backward, that convolution
reads its input and writes its gradient. Features and gradient are read for the
norm's sums and again for its own gradient, which is written and then read by
two products."""


_FUSED_PASSES = 10
"""The same around a depthwise convolution of a block that expands.

Before it, the 1x1 convolution writes, and means and kernel read. The backward
kernel reads the features and writes a gradient; both are read for the norm's
gradient, which is written and read by two products. After it, the kernel
writes, the norm reads and writes, and the 1x1 convolution reads. Backward, that
convolution reads its input and writes a gradient, which is read with the
features for the sums and by the kernel."""


def parts_of(program: str) -> dict[str, str]:
  """Assigns the operations of a compiled program to parts.

  Args:
    program: text of the compiled step.

  Returns:
    Parts by the operation's name. ' backward' follows the part if the operation
    is in the backward pass. Operations outside all parts are 'other'.
  """
  parts = {}
  entry = program[program.index('\nENTRY'):]
  for line in entry.splitlines():
    named = re.match(r'\s*(?:ROOT )?%?([\w.\-]+) = ', line)
    if not named:
      continue
    path = re.search(r'op_name="([^"]*)"', line)
    path = path.group(1) if path else ''
    modules = [
        _PARTS[name]
        for parent, name in itertools.pairwise(path.split('/'))
        if name in _PARTS and _PARENT.fullmatch(parent)
    ]
    if modules:
      backward = ' backward' if 'transpose(' in path else ''
      parts[named.group(1)] = modules[-1] + backward
    else:
      parts[named.group(1)] = 'other'
  return parts


def floors(case: Case, roofline: Mapping[str, float]) -> dict[str, float]:
  """Milliseconds of a step at the roofline.

  Args:
    case: what is trained.
    roofline: 'gigaflops' and 'gigabytes_per_second' of the machine.

  Returns:
    Milliseconds of the arithmetic alone, and of the features alone.
  """
  counts = case.network.counts(case.image_size, case.classes)
  flops = 3 * 2 * counts.madds * case.batch
  moved = 4 * moved_numbers(case) * case.batch
  return {
      'arithmetic_floor_milliseconds': round(
          flops / roofline['gigaflops'] / 1e6, 2
      ),
      'memory_floor_milliseconds': round(
          moved / roofline['gigabytes_per_second'] / 1e6, 2
      ),
  }


def moved_numbers(case: Case) -> int:
  """Numbers per image that a step reads or writes for its batch norms."""
  network = case.network
  size = output_size(case.image_size, network.stem.stride)
  moved = _PASSES * size**2 * network.stem.filters
  for index, block in enumerate(network.blocks):
    filters = block.depthwise_filters(network.input_filters(index))
    passes = _FUSED_PASSES if block.expanded else _PASSES
    moved += passes * size**2 * block.expanded
    size = output_size(size, block.stride)
    moved += size**2 * (passes * filters + _PASSES * block.filters)
  return moved + _PASSES * size**2 * network.head.filters


_PART_LABELS = {
    'pointwise': '1x1 convolutions', 'norm': 'batch norm, activation',
    'depthwise': 'depthwise', 'squeeze': 'squeeze-and-excite', 'stem': 'stem',
    'dense': 'dense', 'other': 'optimiser, loss, all else',
}
_FLOOR_LABELS = {
    'milliseconds': 'ms a step', 'arithmetic_floor_milliseconds':
    'ms of arithmetic', 'memory_floor_milliseconds': 'ms of memory',
}


def profile_table(stored: Mapping[str, Any]) -> str:
  """Makes the table of step_profile.json, with a row for each part.

  Args:
    stored: content of the file.

  Returns:
    Markdown without a newline at the end; backward in brackets.
  """
  cases = stored['cases']
  rows = [
      (label, *(_share(case['shares'], part) for case in cases.values()))
      for part, label in _PART_LABELS.items()
  ] + [
      (label, *(f'{case[field]:.1f}' for case in cases.values()))
      for field, label in _FLOOR_LABELS.items()
  ]
  header = ('part', *(CASES[name] for name in cases))
  return table_text(Table('', header, tuple(rows)))


def _share(shares: Mapping[str, float], part: str) -> str:
  if part not in shares:
    return '-'
  share = f'{shares[part]:.1%}'
  backward = shares.get(f'{part} backward')
  return share if backward is None else f'{share} ({backward:.1%})'


_FLAGS = flags.FLAGS


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  cli.define_path(
      'output', 'Where the results are written.',
      default='docs/results/train_step',
  )
  flags.DEFINE_enum(
      'mode', 'measure', ['measure', 'report'], 'What is done.'
  )
  flags.DEFINE_integer('steps', 10, 'Profiled.', 1)
  flags.DEFINE_multi_enum('case', list(CASES), list(CASES), 'What is trained.')


def main() -> None:
  """Profiles all cases and writes step_profile.json; prints its table."""
  path = pathlib.Path(_FLAGS.output) / 'step_profile.json'
  if _FLAGS.mode == 'measure':
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_measure(), indent=1) + '\n')
  print(profile_table(json.loads(path.read_text())))


def _measure() -> dict[str, Any]:
  """Profiles all cases."""
  keep_freed_memory()
  results = {}
  where = step_machine()
  roofline = _roofline()
  for name in _FLAGS.case:
    case = make_case(name)
    results[name] = _profile(case) | floors(case, roofline)
    print(name, json.dumps(results[name]), flush=True)
  return {'machine': where, 'roofline': roofline, 'cases': results}


def _profile(case: Case) -> dict[str, Any]:
  step = OurStep(case, 'auto')
  step()
  seconds = _seconds(step, _FLAGS.steps)
  with tempfile.TemporaryDirectory() as directory:
    with jax.profiler.trace(directory):
      for _ in range(_FLAGS.steps):
        step()
    (path,) = pathlib.Path(directory).rglob('*.xplane.pb')
    profile = ProfileData.from_file(str(path))
  parts = parts_of(step.program.as_text())
  milliseconds: dict[str, float] = collections.defaultdict(float)
  for plane in profile.planes:
    for line in plane.lines:
      for event in line.events:
        if event.name in parts:
          milliseconds[parts[event.name]] += (
              event.duration_ns / 1e6 / _FLAGS.steps
          )
  total = sum(milliseconds.values())
  return {
      'milliseconds': round(1e3 * seconds, 2),
      'operations': len(parts),
      'shares': {
          part: round(value / total, 4)
          for part, value in sorted(milliseconds.items())
      },
  }


def _roofline() -> dict[str, float]:
  """Gigaflops of a matrix product, gigabytes per second of a copy."""
  side, size = 2048, 1 << 26
  matrix = jnp.ones((side, side))
  array = jnp.ones(size)
  product = jax.jit(jnp.matmul)
  copy = jax.jit(lambda x: x + 1.0)
  return {
      'gigaflops': round(2e-9 * side**3 / _seconds(
          lambda: product(matrix, matrix).block_until_ready(), 9
      ), 1),
      'gigabytes_per_second': round(8e-9 * size / _seconds(
          lambda: copy(array).block_until_ready(), 9
      ), 2),
  }


def _seconds(call: Callable[[], Any], repeats: int) -> float:
  """Median time of some calls, after an untimed one."""
  call()
  times = []
  for _ in range(repeats):
    begun = time.perf_counter()
    call()
    times.append(time.perf_counter() - begun)
  return statistics.median(times)


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
