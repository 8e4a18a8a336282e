"""Times the search itself, and the loading of packaged tables.

  .venv/bin/python tools/perf/search_overhead.py

Evaluations return random rewards at no cost, so that only ask, tell, layer
tables and history are timed. There are two spaces: NATS-Bench topology with 130
trials per search, and a synthetic one of 40 layers with 30 options and H = 100,
with at most 120,000 trials. Every case runs several times in processes of its
own; medians are stored.
"""

import functools
import json
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
from absl import flags

from layernas.reports.plots import subplots
from layernas.runs import cli
from layernas.search import Budget
from layernas.search import Evaluation
from layernas.search import Layer
from layernas.search import Problem
from layernas.search import Search
from layernas.search import SearchSpace
from layernas.search import additive_cost
from layernas.search import make_schedule
from layernas.search.strategy import Strategy
from layernas.study.methods.registry import make_method
from layernas.study.tables.packaged import descriptions
from layernas.study.tables.packaged import load_packaged
from tools.perf.machine import machine

_OUTPUT = cli.define_path(
    'output', 'Where the results are written.',
    default='docs/results/search_overhead',
)
_REPEATS = flags.DEFINE_integer('repeats', 5, 'Runs of every case.', 1)
_CASE = flags.DEFINE_string(
    'case', '', 'Runs one case in this process and prints it.'
)

_LAYERS, _OPTIONS, _BUCKETS = 40, 30, 100
_SCHEDULES = ('sweep', 'interleaved', 'recentred')
_METHODS = ('random', 'evolution', 'local_search', 'reinforce')
_MARKS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
"""Numbers of trials after which the elapsed time is noted."""


def main() -> None:
  """Runs all cases and writes search_overhead.json and .png."""
  if _CASE.value:
    print(json.dumps(_run(_CASE.value)))
    return
  cases = [f'topology/{name}' for name in (*_SCHEDULES, *_METHODS)]
  cases += [f'large/{name}' for name in ('sweep', 'interleaved')]
  loads = {
      name: round(statistics.median(
          _in_own_process(f'load/{name}')['seconds']
          for _ in range(_REPEATS.value)
      ), 4)
      for name in descriptions()
  }
  results = {}
  for case in cases:
    runs = [_in_own_process(case) for _ in range(_REPEATS.value)]
    results[case] = _medians(runs)
    print(case, json.dumps(results[case] | {'marks': '...'}))
  output = pathlib.Path(_OUTPUT.value)
  output.mkdir(parents=True, exist_ok=True)
  text = json.dumps(
      {'machine': machine(numpy=np.__version__), 'repeats': _REPEATS.value,
       'cases': results, 'load_seconds': loads},
      indent=1,
  )
  (output / 'search_overhead.json').write_text(text + '\n')
  _plot(results, output / 'search_overhead.png')


def _in_own_process(case: str) -> dict[str, float]:
  done = subprocess.run(
      [sys.executable, __file__, f'--case={case}'], check=True,
      capture_output=True, text=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def _run(case: str) -> dict[str, float]:
  """Runs one case; the short searches of topology run many times."""
  where, name = case.split('/')
  if where == 'load':
    begun = time.perf_counter()
    load_packaged(name)
    return {'seconds': time.perf_counter() - begun}
  if where == 'large':
    return _timed([_large(name)])
  return _timed([_topology(name, seed) for seed in range(300)])


def _timed(searches: list[Search]) -> dict[str, float]:
  marks, trials = {}, 0
  begun = time.perf_counter()
  for search in searches:
    for _ in _trials(search):
      trials += 1
      if len(searches) == 1 and trials in _MARKS:
        marks[str(trials)] = time.perf_counter() - begun
  seconds = time.perf_counter() - begun
  return {
      'trials': trials,
      'seconds': seconds,
      'microseconds_per_trial': 1e6 * seconds / trials,
      'peak_megabytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
      / 1024,
      'marks': marks,
  }


def _trials(search: Search) -> Iterator[None]:
  """Runs a search to its end; yields after every trial."""
  rng = random.Random(search.seed)
  while candidates := search.ask():
    [candidate] = candidates
    search.tell(candidate.id, Evaluation(rng.random()))
    yield


@functools.cache
def _topology_problem() -> Problem:
  """Makes the problem once, as a process that plays many runs does."""
  return Problem(load_packaged('nats_tss').cost('madds_c10'))


def _topology(name: str, seed: int) -> Search:
  return Search(
      _topology_problem(), _strategy(name), Budget(trials=130), seed
  )


def _large(name: str) -> Search:
  space = SearchSpace(
      Layer(f'layer{index}', range(_OPTIONS)) for index in range(_LAYERS)
  )
  costs = np.random.default_rng(0).integers(1, 10_000, (_LAYERS, _OPTIONS))
  problem = Problem(additive_cost('madds', space, costs.tolist()))
  return Search(problem, _strategy(name), Budget(trials=120_000))


def _strategy(name: str) -> Strategy:
  if name in _SCHEDULES:
    return make_schedule(name, buckets=_BUCKETS)
  return make_method(name)


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
  medians = {
      name: statistics.median(run[name] for run in runs)
      for name in runs[0] if name != 'marks'
  }
  rounded = {name: round(value, 2) for name, value in medians.items()}
  return rounded | {'marks': {
      mark: round(statistics.median(run['marks'][mark] for run in runs), 4)
      for mark in runs[0]['marks']
  }}


def _plot(results: dict[str, dict[str, float]], path: pathlib.Path) -> None:
  """Draws the time per trial over the trials between two marks."""
  figure, axes = subplots(figsize=(6, 3.6))
  for case, result in results.items():
    if not result['marks']:
      continue
    trials = np.array([0, *map(int, result['marks'])])
    seconds = np.array([0.0, *result['marks'].values()])
    axes.plot(
        trials[1:], 1e6 * np.diff(seconds) / np.diff(trials), 'o-',
        label=f'{case.split("/")[1]}, {_LAYERS} layers x {_OPTIONS} options',
    )
  axes.set_xscale('log')
  axes.set_ylim(0)
  axes.set_xlabel('trials done')
  axes.set_ylabel('microseconds per trial')
  axes.grid(alpha=0.3)
  axes.legend()
  figure.savefig(path, dpi=130)


if __name__ == '__main__':
  cli.run(main)
