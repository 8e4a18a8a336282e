"""Measures what executors cost and gain: overhead, speed-up, memory.

  .venv/bin/python tools/perf/executors.py --mode=overhead
  .venv/bin/python tools/perf/executors.py --mode=speedup
  .venv/bin/python tools/perf/executors.py --mode=memory
  .venv/bin/python tools/perf/executors.py --mode=report

overhead: milliseconds per trial of the executors alone, with two workers and
evaluations that take no time.

speedup: seconds of a search of the space cifar10_small, inline and
with two worker processes in turn. The search keeps many networks per layer, so
that few workers wait at its end. A candidate trains for half an epoch with one
thread. An uncounted first search fills the compilation cache. --trials=24 is
faster.

memory: resident MiB of the search's process and of its one worker after every
tenth of 300 networks, each trained for a few steps.

report: prints the tables of docs/scale.md.
"""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from layernas.executors.executor import Evaluated
from layernas.executors.executor import Executor
from layernas.executors.executor import ExecutorSettings
from layernas.executors.executor import Report
from layernas.executors.inline import Inline
from layernas.executors.pool import WorkerPool
from layernas.executors.processes import LocalBackend
from layernas.runs import cli
from layernas.search import Candidate
from layernas.search import Evaluation
from layernas.study.report import table_text
from layernas.study.report_tables import Table
from tools.perf import small_search
from tools.perf.machine import machine

NAME = 'tools.perf.executors:sleeping'
"""Name by which workers find it."""


class Sleeping:
  """Evaluator that sleeps in place of training; a context."""

  def __init__(self, seconds: float = 0.0):
    """Prepares.

    Args:
      seconds: per candidate.
    """
    self._seconds = seconds

  def prepare(self, architectures: Any) -> None:
    """Does nothing."""

  def __call__(self, candidate: Any, hopeless: Any) -> Evaluated:
    """Sleeps."""
    del candidate, hopeless
    if self._seconds:  # A call with 0 would take time as well.
      time.sleep(self._seconds)
    return Evaluated(Evaluation(0.0))

  def __enter__(self) -> 'Sleeping':
    return self

  def __exit__(self, *error: object) -> None:
    pass


def sleeping(settings: Mapping[str, Any], report: Report) -> Sleeping:
  """Makes the evaluator of a worker.

  Args:
    settings: 'seconds' per candidate.
    report: not called.

  Returns:
    The evaluator.
  """
  del report
  return Sleeping(settings['seconds'])


class Deaf:
  """A listener that ignores everything."""

  def began(self, *values: Any) -> None:
    """Does nothing."""

  def stepped(self, *values: Any) -> None:
    """Does nothing."""

  def trouble(self, *values: Any) -> None:
    """Does nothing."""

  def hopeless(self, *values: Any) -> bool:
    """No candidate is hopeless."""
    del values
    return False


EARLY, LATE = 30, 300
"""Numbers of networks after which memory is compared; the next ones that were
looked at where these were not, or the last."""


def report(output: pathlib.Path) -> str:
  """Tables of all stored results.

  Args:
    output: directory of the results.

  Returns:
    Markdown.
  """
  tables = {
      'overhead': overhead, 'speedup_24': speedup, 'speedup_60': speedup,
      'memory': memory,
  }
  return '\n\n'.join(
      table(json.loads((output / f'{name}.json').read_text()))
      for name, table in tables.items() if (output / f'{name}.json').exists()
  )


def overhead(found: dict[str, Any]) -> str:
  """Milliseconds per trial by executor."""
  rows = tuple(
      (name, f'{statistics.median(values):.3f}', _range(values, 3))
      for name, values in found['milliseconds'].items()
  )
  return table_text(Table('', ('executor', 'ms a trial', 'rounds'), rows))


def speedup(found: dict[str, Any]) -> str:
  """Seconds of a search, and the speed-up by workers."""
  seconds = found['seconds']
  ratios = [
      one / other
      for one, other in zip(*seconds.values(), strict=True)
  ]
  rows = [
      (name, f'{statistics.median(values):.1f}', _range(values, 1))
      for name, values in seconds.items()
  ]
  rows.append((
      'inline / processes', f'{statistics.median(ratios):.2f}',
      _range(ratios, 2),
  ))
  header = (f'search of {found["trials"]} trials', 'seconds', 'rounds')
  return table_text(Table('', header, tuple(rows)))


def memory(found: dict[str, Any]) -> str:
  """Resident MiB after few and after many networks."""
  after = found['after']
  early, late = (
      next((at for at, done in enumerate(after) if done >= count), -1)
      for count in (EARLY, LATE)
  )
  rows = []
  for name in ('driver', 'worker'):
    values = found[f'{name}_mib']
    rows.append((
        name, f'{values[early]:,.0f}', f'{values[late]:,.0f}',
        f'{values[late] / values[early]:.2f}',
    ))
  headings = (
      'process', f'MiB after {after[early]}', f'after {after[late]}', 'ratio',
  )
  return table_text(Table('', headings, tuple(rows)))


def _range(values: Sequence[float], digits: int) -> str:
  return f'{min(values):.{digits}f} to {max(values):.{digits}f}'


_FLAGS = flags.FLAGS
_EVERY = 10


def _define_flags() -> None:
  """Defines them for this program alone: others import this module."""
  flags.DEFINE_enum(
      'mode', 'report', ['overhead', 'speedup', 'memory', 'report', 'search'],
      'What to measure; search is one search in this process.',
  )
  cli.define_path(
      'output', 'Where the results are written.',
      default='docs/results/executors',
  )
  flags.DEFINE_integer(
      'trials', 0, 'Trials of a search or of a round; 0 = as stored.', 0
  )
  flags.DEFINE_integer('rounds', 3, 'Of overhead and speedup.', 1)
  flags.DEFINE_string('executor', 'inline', 'Of mode search.')
  flags.DEFINE_integer('workers', 2, 'Of mode search.')


def main() -> None:
  """Runs one mode."""
  output = pathlib.Path(_FLAGS.output)
  output.mkdir(parents=True, exist_ok=True)
  if _FLAGS.mode == 'search':
    print(json.dumps(_search()))
  elif _FLAGS.mode == 'report':
    print(report(output))
  else:
    found = {'overhead': _overhead, 'speedup': _speedup, 'memory': _memory}[
        _FLAGS.mode
    ]()
    text = json.dumps({**found, 'machine': machine()}, indent=1)
    of = f'_{found["trials"]}' if _FLAGS.mode == 'speedup' else ''
    (output / f'{_FLAGS.mode}{of}.json').write_text(text + '\n')
    print(text)


def _overhead() -> dict[str, Any]:
  """Milliseconds per trial by executor, one figure per round."""
  trials = _FLAGS.trials or 500
  found: dict[str, list[float]] = {'inline': [], 'processes': [], 'ray': []}
  with tempfile.TemporaryDirectory() as logs:
    for name, values in found.items():
      with _executor(name, pathlib.Path(logs)) as executor:
        _run(executor, 20)  # Workers start.
        for _ in range(_FLAGS.rounds):
          begun = time.perf_counter()
          _run(executor, trials)
          seconds = time.perf_counter() - begun
          values.append(round(1e3 * seconds / trials, 4))
  return {'trials': trials, 'milliseconds': found}


@contextlib.contextmanager
def _executor(name: str, logs: pathlib.Path) -> Iterator[Executor]:
  """An executor whose evaluations take no time, with two workers."""
  if name == 'inline':
    yield Inline(Sleeping, Deaf())
    return
  settings = ExecutorSettings(name, workers=2)
  evaluator = NAME, {'seconds': 0.0}
  if name == 'ray':
    from layernas.executors.ray_cluster import RayBackend  # noqa: PLC0415

    backend = RayBackend(settings, *evaluator)
  else:
    backend = LocalBackend(settings, logs, *evaluator)
  with backend, WorkerPool(backend, settings, Deaf(), lambda: None) as executor:
    yield executor


def _run(executor: Executor, trials: int) -> None:
  """Runs trials; never submits more than the executor takes."""
  submitted = done = 0
  while done < trials:
    while submitted < trials and submitted - done < executor.capacity:
      executor.submit(Candidate(submitted, 1, (submitted % 7,), 1, 0))
      submitted += 1
    executor.next_result()
    done += 1


def _speedup() -> dict[str, Any]:
  """Seconds of whole searches, which take turns."""
  trials = _FLAGS.trials or 60
  seconds: dict[str, list[float]] = {'inline': [], 'processes': []}
  trials_seconds: dict[str, list[float]] = {'inline': [], 'processes': []}
  with tempfile.TemporaryDirectory() as cache:
    _started('processes', 2, trials, cache)
    for _ in range(_FLAGS.rounds):
      for name, values in seconds.items():
        found = _started(name, 2, trials, cache)
        values.append(found['seconds'])
        trials_seconds[name].append(found['trial_seconds'])
  return {
      'trials': found['trials'], 'seconds': seconds,
      'seconds_in_trials': trials_seconds,
      'load_at_end': round(os.getloadavg()[0], 2),
  }


def _started(name: str, workers: int, trials: int, cache: str) -> Any:
  """Runs a search in a process of its own."""
  done = subprocess.run(
      [sys.executable, __file__, '--mode=search', f'--executor={name}',
       f'--workers={workers}', f'--trials={trials}'],
      env=os.environ | {'JAX_COMPILATION_CACHE_DIR': cache},
      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def _config(executor: str, workers: int, trials: int) -> ConfigDict:
  """A search with many different networks in its layers."""
  config = small_search.get_config()
  config.executor.name = executor
  config.executor.workers = workers
  config.executor.threads = 1
  config.budget.trials = trials
  config.search.buckets, config.search.keep = 100, 5
  config.target.high = 0.0
  config.training.epochs, config.training.warmup_epochs = 0.5, 0.25
  return config.lock()


def _search() -> dict[str, Any]:
  from layernas.runs.run_search import run_search  # noqa: PLC0415

  config = _config(_FLAGS.executor, _FLAGS.workers, _FLAGS.trials)
  with tempfile.TemporaryDirectory() as workdir:
    begun = time.monotonic()
    result = run_search(config, workdir)
    whole = time.monotonic() - begun
  return {
      'seconds': round(whole, 2), 'trials': sum(result['trials'].values()),
      'trial_seconds': round(result['seconds'], 2),
      'winner': result['winner']['architecture'],
  }


def _memory() -> dict[str, Any]:
  """Resident MiB after every tenth network."""
  from layernas.runs.run_search import run_search  # noqa: PLC0415

  networks = _FLAGS.trials or 300
  config = _config('processes', 1, networks).unlock()
  config.training.epochs, config.training.warmup_epochs = 0.02, 0.0
  rows: list[list[float]] = []
  ended = threading.Event()
  with tempfile.TemporaryDirectory() as workdir:
    history = pathlib.Path(workdir) / 'trials.jsonl'

    def watch() -> None:
      while not ended.wait(0.05):
        done = history.read_bytes().count(b'\n') if history.exists() else 0
        if done >= _EVERY * (len(rows) + 1):
          rows.append([done, *map(_resident, [os.getpid(), *_children()])])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
      run_search(config.lock(), workdir)
    finally:
      ended.set()
      watcher.join()
  return {
      'networks': networks,
      'after': [row[0] for row in rows],
      'driver_mib': [row[1] for row in rows],
      'worker_mib': [row[2] for row in rows if len(row) > 2],
  }


def _resident(pid: int) -> float:
  pages = int(pathlib.Path(f'/proc/{pid}/statm').read_text().split()[1])
  return round(pages * os.sysconf('SC_PAGE_SIZE') / 2**20, 1)


def _children() -> list[int]:
  path = pathlib.Path(f'/proc/self/task/{os.getpid()}/children')
  return list(map(int, path.read_text().split()))


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
