"""Says where the time of a training step goes, beside what the machine can do.

  PYTHONPATH=. python benchmarks/step_profile.py

Of the cases of benchmarks/train_step.py, by parts of the network, forward and
backward: XLA's own times of the operations of a step. They may run beside each
other, and being profiled they take longer: shares mean more than milliseconds.
Beside them the roofline: the fastest matrix product and the fastest copy of a
large array that JAX gives here, and how long a step would take at that speed
for its arithmetic alone (three times the forward pass's) and for its features
alone, each read and written as often as our passes do.
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
from typing import Any

import jax
import jax.numpy as jnp
from absl import app
from absl import flags
from jax.profiler import ProfileData
from rich.console import Console
from rich.table import Table

from benchmarks.step_cases import CASES
from benchmarks.step_cases import Case
from benchmarks.step_cases import OurStep
from benchmarks.step_cases import make_case
from benchmarks.step_cases import step_machine
from layernas.networks.counting import count
from layernas.networks.counting import output_size
from layernas.training.memory import keep_freed_memory

_OUTPUT = flags.DEFINE_string(
    'output', 'docs/results/train_step', 'Where the results are written.'
)
_STEPS = flags.DEFINE_integer('steps', 10, 'Profiled.', 1)
_CASES = flags.DEFINE_multi_enum('case', CASES, CASES, 'What is trained.')

_PARTS = {
    'expand': 'pointwise', 'project': 'pointwise', 'head': 'pointwise',
    'expand_norm': 'norm', 'depthwise_norm': 'norm', 'project_norm': 'norm',
    'stem_norm': 'norm', 'head_norm': 'norm', 'depthwise': 'depthwise',
    'squeeze': 'squeeze', 'stem': 'stem', 'hidden': 'dense',
    'classifier': 'dense',
}
"""Submodules of a network; what belongs to none is optimiser, loss and sums."""

# What a submodule's name follows in the path of an operation.
_PARENT = re.compile(r'block\d+|.*InvertedResidualNetwork.*')

_PASSES = 14
"""Times that our step reads or writes every number that a batch norm receives.

Forward the convolution writes it, the means read it, the norm reads it and
writes its output, which the next convolution reads. Backward that convolution
reads its input and writes its gradient; features and gradient are read for
the norm's sums and again for its own gradient, which is written and then read
by two products."""

_FUSED_PASSES = 10
"""The same around a depthwise convolution of a block that expands.

Before it: the 1x1 convolution writes, means and kernel read; the backward
kernel reads the features and writes a gradient, both are read for the norm's,
which is written and read by two products. Behind it: the kernel writes, the
norm reads and writes, the 1x1 convolution reads; backward it reads its input
and writes a gradient; with the features, that is read for the sums and by the
kernel."""


def main(argv: list[str]) -> None:
  """Profiles all and writes step_profile.json."""
  del argv
  keep_freed_memory()
  results = {}
  where = step_machine()
  roofline = _roofline()
  for name in _CASES.value:
    case = make_case(name)
    results[name] = _profile(case) | _floors(case, roofline)
    print(name, json.dumps(results[name]), flush=True)
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  text = json.dumps(
      {'machine': where, 'roofline': roofline, 'cases': results}, indent=1
  )
  (output / 'step_profile.json').write_text(text + '\n')
  Console().print(_table(results))


def _profile(case: Case) -> dict[str, Any]:
  step = OurStep(case, 'auto')
  step()
  seconds = _seconds(step, _STEPS.value)
  with tempfile.TemporaryDirectory() as directory:
    with jax.profiler.trace(directory):
      for _ in range(_STEPS.value):
        step()
    (path,) = pathlib.Path(directory).rglob('*.xplane.pb')
    profile = ProfileData.from_file(str(path))
  parts = _parts_of(step.program.as_text())
  milliseconds: dict[str, float] = collections.defaultdict(float)
  for plane in profile.planes:
    for line in plane.lines:
      for event in line.events:
        if event.name in parts:
          milliseconds[parts[event.name]] += (
              event.duration_ns / 1e6 / _STEPS.value
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


def _parts_of(program: str) -> dict[str, str]:
  """The part that each operation of a compiled program belongs to."""
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


def _roofline() -> dict[str, float]:
  """Gigaflops of a matrix product, gigabytes a second of a copy."""
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


def _floors(case: Case, roofline: dict[str, float]) -> dict[str, float]:
  """Milliseconds of a step at the roofline."""
  counts = count(case.network, case.image_size, case.classes)
  flops = 3 * 2 * counts.madds * case.batch
  moved = 4 * _moved(case) * case.batch
  return {
      'arithmetic_floor_milliseconds': round(
          flops / roofline['gigaflops'] / 1e6, 2
      ),
      'memory_floor_milliseconds': round(
          moved / roofline['gigabytes_per_second'] / 1e6, 2
      ),
  }


def _moved(case: Case) -> int:
  """Numbers of one image that a step reads or writes for its batch norms."""
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


def _seconds(call: Callable[[], Any], repeats: int) -> float:
  """Median of some calls, after one that is not timed."""
  call()
  times = []
  for _ in range(repeats):
    begun = time.perf_counter()
    call()
    times.append(time.perf_counter() - begun)
  return statistics.median(times)


def _table(results: dict[str, Any]) -> Table:
  parts = sorted({
      part for found in results.values() for part in found['shares']
  })
  table = Table('part', *results, title='share of the time of a step')
  for part in parts:
    table.add_row(part, *(
        f'{found["shares"].get(part, 0):.1%}' for found in results.values()
    ))
  for row in (
      'milliseconds', 'arithmetic_floor_milliseconds',
      'memory_floor_milliseconds',
  ):
    table.add_row(row, *(f'{found[row]:.1f}' for found in results.values()))
  return table


if __name__ == '__main__':
  app.run(main)
