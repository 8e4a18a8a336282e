"""Times `ask` of the schedule model_guided on a space of MnasNet's size.

  .venv/bin/python tools/perf/model_guided_ask.py

The space is Accel-NASBench's, 28 decisions. Rewards cost nothing, have an error
of half a deviation of random networks, and a search has 1,000 trials.
"""

import time

import numpy as np
from absl import flags

from configs.study import accel_nasbench
from layernas.runs import cli
from layernas.search import Search
from layernas.search.model_guided import ModelGuided
from layernas.study.setup import make_benchmark
from layernas.study.tables.benchmark import TableEvaluator

_TRIALS = flags.DEFINE_integer('trials', 1000, 'Trials of the search.', 1)


def main() -> None:
  """Runs a search and prints what its calls took."""
  benchmark = make_benchmark('middle', accel_nasbench.section_of(
      'middle', accel_nasbench.NOISES['half'], _TRIALS.value
  ))
  search = Search(benchmark.problem, ModelGuided(), benchmark.budget)
  evaluate = TableEvaluator(benchmark, 0)
  asks, tells = [], []
  while True:
    begin = time.perf_counter()
    candidates = search.ask()
    asks.append(time.perf_counter() - begin)
    if not candidates:
      break
    for candidate in candidates:
      evaluation = evaluate(candidate)
      begin = time.perf_counter()
      search.tell(candidate.id, evaluation)
      tells.append(time.perf_counter() - begin)
  for name, seconds in (('ask', asks), ('tell', tells)):
    last = seconds[-200:]
    print(
        f'{name}: mean {1e3 * np.mean(seconds):.1f} ms, last 200 calls mean'
        f' {1e3 * np.mean(last):.1f}, 99th percentile'
        f' {1e3 * np.quantile(last, 0.99):.1f}, max {1e3 * max(last):.1f} ms'
    )


if __name__ == '__main__':
  cli.run(main)
