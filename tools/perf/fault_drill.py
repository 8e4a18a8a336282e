"""Searches with a random fault at a random moment: each must end right.

  PYTHONPATH=. python tools/perf/fault_drill.py --searches=200 --parallel=2
  PYTHONPATH=. python tools/perf/fault_drill.py --mode=report

Every search has one fault, in turn of those in fault_drill_report.py; moment,
executor (inline, or two worker processes) and all else are drawn at random. It
must come to the result of a search without a fault, or end with one line and
exit code 2, or by its signal, and come to that result by the same command. Full
disks need the right to mount one (root on Linux); without it that fault is left
out, and the table says 0 of it.

A line for every drill goes to drills.jsonl; the same command goes on with the
drills that are not there.
"""

import json
import os
import pathlib
import tempfile
import threading
import time
from concurrent import futures
from typing import Any

from absl import app
from absl import flags

from tools.perf import damage
from tools.perf import drilled_search
from tools.perf import fault_drill_report
from tools.perf.drill import Drill
from tools.perf.drill import drawn
from tools.perf.machine import machine
from tools.perf.one_drill import Trip
from tools.perf.one_drill import run_drill

_MODE = flags.DEFINE_enum(
    'mode', 'drill', ['drill', 'report'], 'To run drills, or to show them.'
)
_SEARCHES = flags.DEFINE_integer('searches', 200, 'Drills in all.', 1)
_PARALLEL = flags.DEFINE_integer('parallel', 2, 'Drills at a time.', 1)
_SEED = flags.DEFINE_integer('seed', 0, 'Of all that is drawn.')
_MINUTES = flags.DEFINE_float(
    'minutes', 0.0, 'After which no other drill begins; 0 = no limit.', 0.0
)
_FAULTS = flags.DEFINE_list(
    'faults', list(fault_drill_report.FAULTS), 'Faults that are drilled.'
)
_OUTPUT = flags.DEFINE_string(
    'output', 'docs/results/fault_drill', 'Where the results are written.'
)
_CACHE = flags.DEFINE_string(
    'cache', '', 'Compilation cache that is kept; empty = a temporary one.'
)


def main(argv: list[str]) -> None:
  """Runs or shows drills."""
  del argv
  output = pathlib.Path(_OUTPUT.value)
  if _MODE.value == 'drill':
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
      _drill(output, pathlib.Path(_CACHE.value or cache))
  print(fault_drill_report.table(fault_drill_report.read(
      output / 'drills.jsonl'
  )))


class References:
  """What searches come to that nothing disturbs.

  Attributes:
    seconds: executor -> of such a search behind its first line.
  """

  def __init__(self, directory: pathlib.Path, seed: int):
    """Runs one with each executor, after one that compiles.

    Args:
      directory: for workdirs.
      seed: of the whole drill.
    """
    self._directory = directory
    self._seed = seed
    self._lock = threading.Lock()
    self._found: dict[Any, Any] = {}
    self.seconds: dict[str, float] = {}
    for name, executor in (
        ('first_inline', 'inline'), ('first_processes', 'processes'),
        ('inline', 'inline'), ('processes', 'processes'),
    ):
      logs = directory / name
      logs.mkdir()
      search = drilled_search.SearchProcess(
          drilled_search.command(logs / 'run', executor), logs, {}
      )
      search.wait_until_open()
      begun = time.monotonic()
      search.wait()
      self.seconds[executor] = time.monotonic() - begun
      if search.process.returncode:
        raise RuntimeError(f'a search without a fault fails: {search.tail()}')
      self._found[name] = drilled_search.outcome(logs / 'run')
    if self._found['inline'] != self._found['processes']:
      raise RuntimeError('inline and processes differ without any fault')

  def of(self, drill: Drill) -> Any:
    """What a drill has to come to; with NaN, inline and left alone."""
    if drill.fault != 'nan':
      return self._found['inline']
    with self._lock:
      key = drill.candidate, drill.step
      if key not in self._found:
        directory = self._directory / f'nan{drill.candidate}-{drill.step}'
        directory.mkdir()
        quiet = Drill(
            drill.number, 'nan', 'inline', 0.0, False, drill.candidate,
            drill.step,
        )
        trip = Trip(quiet, directory, 0.0, self._seed)
        trip.run()
        self._found[key] = trip.kept
      return self._found[key]


def _drill(output: pathlib.Path, cache: pathlib.Path) -> None:
  faults = _possible(_FAULTS.value)
  path = output / 'drills.jsonl'
  done = {drill['drill'] for drill in fault_drill_report.read(path)}
  wanted = [one for one in range(_SEARCHES.value) if one not in done]
  lock = threading.Lock()
  until = time.monotonic() + 60 * (_MINUTES.value or 1e6)
  os.environ['JAX_COMPILATION_CACHE_DIR'] = str(cache)

  def one(number: int) -> None:
    if time.monotonic() > until:
      return
    drill = drawn(number, _SEED.value, faults)
    with tempfile.TemporaryDirectory(prefix='drill') as directory:
      found = run_drill(
          drill, pathlib.Path(directory), references.seconds[drill.executor],
          _SEED.value, references.of,
      )
    with lock, open(path, 'a', encoding='utf-8') as file:
      file.write(json.dumps(found) + '\n')
    print(found['drill'], found['fault'], found['executor'],
          found['exit_codes'], found['outcome'], found['reason'][-300:],
          flush=True)

  with tempfile.TemporaryDirectory(prefix='drill') as directory:
    references = References(pathlib.Path(directory), _SEED.value)
    print('undisturbed:', references.seconds, flush=True)
    with futures.ThreadPoolExecutor(_PARALLEL.value) as pool:
      for job in [pool.submit(one, number) for number in wanted]:
        job.result()
  text = json.dumps(machine(seed=_SEED.value), indent=1)
  (output / 'machine.json').write_text(text + '\n')


def _possible(faults: list[str]) -> tuple[str, ...]:
  """Those faults that this machine lets us have."""
  unknown = set(faults) - set(fault_drill_report.FAULTS)
  if unknown:
    raise app.UsageError(f'--faults: unknown {sorted(unknown)}')
  try:
    with (
        tempfile.TemporaryDirectory() as directory,
        damage.small_disk(pathlib.Path(directory) / 'disk'),
    ):
      pass
  except OSError as error:
    print(f'the fault disk_full is left out: {error}')
    faults = [one for one in faults if one != 'disk_full']
  return tuple(faults)


if __name__ == '__main__':
  app.run(main)
