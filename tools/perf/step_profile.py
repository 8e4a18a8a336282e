"""Says where the time of a training step goes, beside what the machine can do.

  PYTHONPATH=. python tools/perf/step_profile.py

Of the cases of tools/perf/train_step.py, by parts of the network, forward and
backward: XLA's own times of the operations of a step. They may run beside each
other, and being profiled they take longer: shares mean more than milliseconds.
Beside them the roofline: the fastest matrix product and the fastest copy of a
large array that JAX gives here, and how long a step would take at that speed
for its arithmetic alone (three times the forward pass's) and for its features
alone, each read and written as often as our passes do.
--mode=report prints the stored figures as Markdown.
"""

import collections
import json
import pathlib
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

from layernas.training.devices import keep_freed_memory
from tools.perf.step_cases import CASES
from tools.perf.step_cases import Case
from tools.perf.step_cases import OurStep
from tools.perf.step_cases import make_case
from tools.perf.step_cases import step_machine
from tools.perf.step_parts import floors
from tools.perf.step_parts import parts_of
from tools.perf.step_report import profile_table

_OUTPUT = flags.DEFINE_string(
    'output', 'docs/results/train_step', 'Where the results are written.'
)
_MODE = flags.DEFINE_enum(
    'mode', 'measure', ['measure', 'report'], 'What is done.'
)
_STEPS = flags.DEFINE_integer('steps', 10, 'Profiled.', 1)
_CASES = flags.DEFINE_multi_enum('case', CASES, CASES, 'What is trained.')


def main(argv: list[str]) -> None:
  """Profiles all and writes step_profile.json; prints its table."""
  del argv
  path = pathlib.Path(_OUTPUT.value) / 'step_profile.json'
  if _MODE.value == 'measure':
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_measure(), indent=1) + '\n')
  print(profile_table(json.loads(path.read_text())))


def _measure() -> dict[str, Any]:
  """Profiles all cases."""
  keep_freed_memory()
  results = {}
  where = step_machine()
  roofline = _roofline()
  for name in _CASES.value:
    case = make_case(name)
    results[name] = _profile(case) | floors(case, roofline)
    print(name, json.dumps(results[name]), flush=True)
  return {'machine': where, 'roofline': roofline, 'cases': results}


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
  parts = parts_of(step.program.as_text())
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


def _seconds(call: Callable[[], Any], repeats: int) -> float:
  """Median of some calls, after one that is not timed."""
  call()
  times = []
  for _ in range(repeats):
    begun = time.perf_counter()
    call()
    times.append(time.perf_counter() - begun)
  return statistics.median(times)


if __name__ == '__main__':
  app.run(main)
