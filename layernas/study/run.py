"""One run: a method with a seed on a benchmark, under one accounting."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from layernas.benchmarks.benchmark import Benchmark
from layernas.benchmarks.benchmark import TableEvaluator
from layernas.search import Search
from layernas.search.space import architecture_id
from layernas.search.strategy import Strategy
from layernas.search.trial import Trial


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
      'answer': _answer(best),
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
      best.evaluation.reward,
      benchmark.reported(best.candidate.architecture, seed),
  )


def _answer(best: Trial | None) -> dict[str, Any] | None:
  if best is None:
    return None
  return {
      'architecture': architecture_id(best.candidate.architecture),
      'cost': best.candidate.cost,
      'reward': best.evaluation.reward,
  }
