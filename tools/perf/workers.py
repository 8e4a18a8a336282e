"""Speed-up of ImageNet searches against the number of workers, simulated.

  PYTHONPATH=. OPENBLAS_NUM_THREADS=1 python tools/perf/workers.py

Real searches on a virtual clock (tools/perf/virtual_workers.py): nothing is
trained, and nothing but model_guided's linear algebra depends on the machine. A
training takes the time of tools/perf/workers_cases.py, in units of the default
network's. What idle workers do ahead of the next layer
(tools/perf/next_layer.py): `none` lets them idle, `certain` trains children of
what is certain to be kept, `leading` also children of what is best so far.
Writes workers.json and workers.png, and prints the tables of docs/scale.md.
"""

import dataclasses
import json
import pathlib
import re

from absl import app
from absl import flags

from tools.perf.workers_cases import CASES
from tools.perf.workers_cases import Times
from tools.perf.workers_report import SHOWN
from tools.perf.workers_report import save_plot
from tools.perf.workers_report import tables
from tools.perf.workers_runs import case_runs

_OUTPUT = flags.DEFINE_string(
    'output', 'docs/results/workers', 'Where the results are written.'
)
_CASES = flags.DEFINE_string(
    'cases', '', 'Regular expression; cases in whose name it is found.'
)
_LARGEST = flags.DEFINE_integer(
    'largest', max(SHOWN), 'Workers at most; 1, 2, 4, ... are simulated.',
    max(SHOWN),
)
_START = flags.DEFINE_float(
    'start', Times.start, 'Compilation, in trainings of the default network.', 0
)
_HIDDEN = flags.DEFINE_bool(
    'hidden', Times.hidden, 'Compile while the candidate before trains.'
)
_JITTER = flags.DEFINE_float(
    'jitter', Times.jitter,
    "Standard deviation of the logarithm of trainings' times.", 0
)
_SEED = flags.DEFINE_integer('seed', 0, 'Of rewards and times.', 0)


def main(argv: list[str]) -> None:
  """Simulates all cases."""
  del argv
  times = Times(
      start=_START.value, hidden=_HIDDEN.value, jitter=_JITTER.value,
      seed=_SEED.value,
  )
  counts = [2**power for power in range(_LARGEST.value.bit_length())]
  found = {}
  for name, case in CASES.items():
    if re.search(_CASES.value, name):
      print(name, flush=True)
      found[name] = case_runs(case, times, counts)
  results = {'times': dataclasses.asdict(times), 'cases': found}
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  # A line for each run: to be read, and to be compared with another version.
  text = re.sub(r'\n {6,}|\n {5}(?=})', ' ', json.dumps(results, indent=1))
  (output / 'workers.json').write_text(text + '\n')
  save_plot(results, output / 'workers.png')
  print(*tables(results), sep='\n\n')


if __name__ == '__main__':
  app.run(main)
