"""Runs of a study: a method with a seed on a benchmark, under one accounting.

`play` does one run, `play_all` many of them on all cores; what a run gives does
not depend on how many there are.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from multiprocessing import resource_tracker
from typing import Any
from typing import NoReturn

from ml_collections import ConfigDict

from layernas.cores import usable_cores
from layernas.search import Search
from layernas.search.space import architecture_id
from layernas.search.strategy import Strategy
from layernas.search.trial import Trial
from layernas.study.setup import make_benchmark
from layernas.study.setup import make_strategy
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.benchmark import TableEvaluator

# Runs handed to a worker at once: fewer messages, and little is lost by a kill.
_CHUNK = 20

# For the parent to answer a signal.
_PARENT_SECONDS = 1.0

# Held back while workers start.
_HELD = (signal.SIGINT, signal.SIGTERM)

# What workers' NumPy reads when it is loaded.
_THREADS = ('OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'OMP_NUM_THREADS')

# Of this process, a worker of `play_all`.
_CONFIG: dict[str, Any] = {}


@dataclasses.dataclass(frozen=True, order=True)
class Key:
  """What a run is named by.

  Attributes:
    benchmark: name of the benchmark.
    accounting: one of `setup.ACCOUNTINGS`.
    method: name of the method.
    seed: of the run.
  """

  benchmark: str
  accounting: str
  method: str
  seed: int


def key_of(record: Mapping[str, Any]) -> Key:
  """Key of a run's record.

  Args:
    record: as `play` returns it.

  Returns:
    Its key.

  Raises:
    KeyError, TypeError, ValueError: it is no such record.
  """
  return Key(
      record['benchmark'], record['accounting'], record['method'],
      int(record['seed']),
  )


def play(key: Key, benchmark: Benchmark, strategy: Strategy) -> dict[str, Any]:
  """Runs a method to the end of its budget.

  Args:
    key: of the run.
    benchmark: the one that the key names.
    strategy: fresh, of the method that the key names.

  Returns:
    JSON types. `answer` is the best signal's network in the target, or None;
    `curve` has a row (trials, seconds, reward, reported) for every new answer,
    `reported` being the figure that answers are judged by.
  """
  search = Search(
      benchmark.problem, strategy, benchmark.budget, key.seed,
      reuse=key.accounting == 'each_network_once',
  )
  evaluate = TableEvaluator(benchmark, key.seed)
  curve = []
  best = None
  while candidates := search.ask():
    for candidate in candidates:
      search.tell(candidate.id, evaluate(candidate))
    if search.best is not best:
      best = search.best
      curve.append(_point(search, benchmark, key.seed))
  return dataclasses.asdict(key) | {
      'answer': _answer(best, benchmark.sign),
      'reported': curve[-1][3] if curve else None,
      'trials': len(search.trials),
      'networks': len({t.candidate.architecture for t in search.trials}),
      'failed': sum(trial.failed for trial in search.trials),
      'reused': search.reused,
      'rejected': strategy.infeasible,
      'seconds': round(search.seconds, 6),
      'stop_reason': search.stop_reason,
      'curve': curve,
  }


def _point(
    search: Search, benchmark: Benchmark, seed: int
) -> tuple[int, float, float, float]:
  best = search.best
  return (
      len(search.trials),
      round(search.seconds, 6),
      benchmark.sign * best.evaluation.reward,
      benchmark.reported(best.candidate.architecture, seed),
  )


def _answer(best: Trial | None, sign: int) -> dict[str, Any] | None:
  """The answer with its signal as the table has it."""
  if best is None:
    return None
  return {
      'architecture': architecture_id(best.candidate.architecture),
      'cost': best.candidate.cost,
      'reward': sign * best.evaluation.reward,
  }


def play_all(
    config: ConfigDict, keys: Sequence[Key]
) -> Iterator[list[str]]:
  """Plays runs in worker processes.

  Args:
    config: see configs/study/default.py; `workers` says how many.
    keys: of the runs.

  Yields:
    JSON lines of some finished runs, as they come.
  """
  chunks = [keys[i:i + _CHUNK] for i in range(0, len(keys), _CHUNK)]
  workers = min(config.workers or usable_cores(), max(1, len(chunks)))
  plain = config.to_dict()
  if workers == 1:
    _begin(plain)
    yield from map(_play_chunk, chunks)
    return
  # Every worker has a core; threads of their linear algebra would fight for
  # them, and round as their number has it.
  for name in _THREADS:
    os.environ.setdefault(name, '1')
  # Ctrl-C leaves the pool as it is: Python cleans up behind it, and is not to
  # say so after our last line.
  sys.warnoptions.append('ignore:resource_tracker')
  pool = concurrent.futures.ProcessPoolExecutor(
      workers, multiprocessing.get_context('spawn'), _begin_worker,
      (plain, os.getpid()),
  )
  done = False
  try:
    with signals_held():
      # Starts the workers.
      futures = [pool.submit(_play_chunk, chunk) for chunk in chunks]
    for future in concurrent.futures.as_completed(futures):
      yield future.result()
    done = True
  finally:
    # Ctrl-C does not wait for runs under way.
    pool.shutdown(wait=done, cancel_futures=True)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
  """Keeps Ctrl-C and SIGTERM back from processes that this thread starts.

  A worker that has not begun would print a traceback, or die; it answers the
  signal once it is ready.
  """
  # It starts with the first process, and lets all signals through.
  resource_tracker.ensure_running()
  before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(config: dict[str, Any], parent: int) -> None:
  """What a fresh worker does first."""
  # Ctrl-C is the parent's to answer.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  signal.signal(signal.SIGTERM, _end_after_parent)
  signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
  threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
  _begin(config)


def _end_after_parent(*_: object) -> NoReturn:
  """Answers a SIGTERM that came to all processes of the study.

  A pool with a dead worker is broken; the parent is to hear of the signal
  first.
  """
  time.sleep(_PARENT_SECONDS)
  os._exit(0)


def _end_with(parent: int) -> None:
  """Ends this process when its parent was killed and cannot end it."""
  while os.getppid() == parent:
    time.sleep(1)
  os._exit(1)


def _begin(config: dict[str, Any]) -> None:
  _CONFIG['config'] = ConfigDict(config)
  _benchmark.cache_clear()


@functools.cache
def _benchmark(name: str) -> Any:
  """A benchmark, made once in each process."""
  return make_benchmark(name, _CONFIG['config'].benchmarks[name])


def _play_chunk(keys: Sequence[Key]) -> list[str]:
  """JSON lines of the runs with these keys."""
  methods = _CONFIG['config'].methods
  return [
      json.dumps(
          play(key, _benchmark(key.benchmark),
               make_strategy(methods[key.method]))
      )
      for key in keys
  ]
