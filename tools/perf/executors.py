"""What executors cost and bring: overhead, speed-up, memory.

  PYTHONPATH=. python tools/perf/executors.py --mode=overhead
  PYTHONPATH=. python tools/perf/executors.py --mode=speedup
  PYTHONPATH=. python tools/perf/executors.py --mode=memory
  PYTHONPATH=. python tools/perf/executors.py --mode=report

overhead: milliseconds of a trial whose evaluation takes no time, through the
executors alone, with two workers.

speedup: seconds of a search of configs/cifar10_small.py's space that keeps many
networks a layer (so that few workers wait at its end), half an epoch and one
thread a candidate, inline and with two worker processes in turn; a first search
that is not counted fills the compilation cache. Shorter with --trials=24.

memory: resident MiB of the search's process and of its one worker after every
tenth of 300 networks, each trained for some steps.

report: the tables of docs/scale.md.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from absl import app
from absl import flags
from ml_collections import ConfigDict

from configs import cifar10_small
from layernas.executors.executor import Executor
from layernas.executors.executor import ExecutorSettings
from layernas.executors.inline import Inline
from layernas.executors.pool import WorkerPool
from layernas.executors.processes import LocalPlace
from layernas.search import Candidate
from tools.perf import executors_report
from tools.perf.machine import machine
from tools.perf.sleeping import NAME
from tools.perf.sleeping import Deaf
from tools.perf.sleeping import Sleeping

_MODE = flags.DEFINE_enum(
    'mode', 'report', ['overhead', 'speedup', 'memory', 'report', 'search'],
    'What to measure; search is one search, for us.',
)
_OUTPUT = flags.DEFINE_string(
    'output', 'docs/results/executors', 'Where the results are written.'
)
_TRIALS = flags.DEFINE_integer(
    'trials', 0, 'Trials of a search or of a round; 0 = as stored.', 0
)
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Of overhead and speedup.', 1)
_EXECUTOR = flags.DEFINE_string('executor', 'inline', 'Of mode search.')
_WORKERS = flags.DEFINE_integer('workers', 2, 'Of mode search.')

_SELF = pathlib.Path(__file__)
_EVERY = 10


def main(argv: list[str]) -> None:
  """Runs one mode."""
  del argv
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  if _MODE.value == 'search':
    print(json.dumps(_search()))
  elif _MODE.value == 'report':
    print(executors_report.report(output))
  else:
    found = {'overhead': _overhead, 'speedup': _speedup, 'memory': _memory}[
        _MODE.value
    ]()
    text = json.dumps({**found, 'machine': machine()}, indent=1)
    of = f'_{found["trials"]}' if _MODE.value == 'speedup' else ''
    (output / f'{_MODE.value}{of}.json').write_text(text + '\n')
    print(text)


def _overhead() -> dict[str, Any]:
  """Milliseconds a trial by executor, one figure a round."""
  trials = _TRIALS.value or 500
  found: dict[str, list[float]] = {'inline': [], 'processes': [], 'ray': []}
  with tempfile.TemporaryDirectory() as logs:
    for name, values in found.items():
      with _executor(name, pathlib.Path(logs)) as executor:
        _run(executor, 20)  # Workers start.
        for _ in range(_ROUNDS.value):
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
    from layernas.executors.ray_cluster import RayPlace  # noqa: PLC0415

    place = RayPlace(settings, *evaluator)
  else:
    place = LocalPlace(settings, logs, *evaluator)
  with place, WorkerPool(place, settings, Deaf(), lambda: None) as executor:
    yield executor


def _run(executor: Executor, trials: int) -> None:
  """As many trials, never more under way than the executor takes."""
  submitted = done = 0
  while done < trials:
    while submitted < trials and submitted - done < executor.capacity:
      executor.submit(Candidate(submitted, 1, (submitted % 7,), 1, 0))
      submitted += 1
    executor.next_result()
    done += 1


def _speedup() -> dict[str, Any]:
  """Seconds of whole searches, in turn."""
  trials = _TRIALS.value or 60
  seconds: dict[str, list[float]] = {'inline': [], 'processes': []}
  trials_seconds: dict[str, list[float]] = {'inline': [], 'processes': []}
  with tempfile.TemporaryDirectory() as cache:
    _started('processes', 2, trials, cache)
    for _ in range(_ROUNDS.value):
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
  """A search in a process of its own."""
  done = subprocess.run(
      [sys.executable, str(_SELF), '--mode=search', f'--executor={name}',
       f'--workers={workers}', f'--trials={trials}'],
      env=os.environ | {'JAX_COMPILATION_CACHE_DIR': cache},
      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def _config(executor: str, workers: int, trials: int) -> ConfigDict:
  """A search whose layers have enough networks, all of them different."""
  config = cifar10_small.get_config().unlock()
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

  config = _config(_EXECUTOR.value, _WORKERS.value, _TRIALS.value)
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

  networks = _TRIALS.value or 300
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
  app.run(main)
