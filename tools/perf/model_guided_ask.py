"""Times `ask` of the schedule model_guided on a space of MobileNet's size.

  OPENBLAS_NUM_THREADS=1 .venv/bin/python tools/perf/model_guided_ask.py

The space has twenty layers with six options. Rewards cost nothing, and a search
has 1,000 trials.
"""

import time

import numpy as np
from absl import flags

from layernas.runs import cli
from layernas.search import Budget
from layernas.search import Search
from layernas.search import TargetInterval
from layernas.search.model_guided import ModelGuided
from layernas.study.tables.benchmark import TableEvaluator
from layernas.study.tables.synthetic import COST
from layernas.study.tables.synthetic import REWARD
from layernas.study.tables.synthetic import Chain
from layernas.study.tables.synthetic import ChainBenchmark

_TRIALS = flags.DEFINE_integer('trials', 1000, 'Trials of the search.', 1)


def main() -> None:
  """Runs a search and prints what its calls took."""
  benchmark = ChainBenchmark(
      'chain', Chain(20, 6, seed=0, strength=0.5), (REWARD,), REWARD, COST,
      TargetInterval(high=180), budget=Budget(trials=_TRIALS.value), noise=1.0,
  )
  schedule = ModelGuided(buckets=10, keep=2)
  search = Search(benchmark.problem, schedule, benchmark.budget)
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
