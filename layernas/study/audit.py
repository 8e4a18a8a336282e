"""Audit of the paper's assumption 4.1 on enumerated benchmarks.

The assumption: the best prefix of a length in a cost bucket extends a best
prefix of the length before. Where every network is known, it can be counted how
often that holds, what a search keeps, and what it costs the best networks.
"""

import dataclasses
from typing import Any

import numpy as np
import scipy.stats

from layernas.search import Search
from layernas.search.layer_pass import LayerPass
from layernas.search.sweep import Sweep
from layernas.search.table import SPACINGS
from layernas.search.table import BucketAxis
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.benchmark import TableEvaluator
from layernas.study.tables.table import enumerated


@dataclasses.dataclass(frozen=True)
class LayerAudit:
  """What holds at one prefix length. Shares are None where nothing counts.

  Attributes:
    length: number of decided layers.
    prefixes: feasible ones.
    buckets: that hold a feasible prefix.
    holds: share of the buckets whose best prefix extends a prefix that is best
      in its own bucket: the assumption itself.
    kept: share of the search's buckets whose best of all prefixes it kept.
    optimum_kept: whether the optimum's prefix is the best of its bucket.
    top_dropped: share of the best networks' prefixes that are not.
    correlation: Spearman's, between a prefix's reward and that of its best
      feasible completion.
  """

  length: int
  prefixes: int
  buckets: int
  holds: float | None
  kept: float | None
  optimum_kept: bool
  top_dropped: float
  correlation: float | None


@dataclasses.dataclass(frozen=True)
class _Prefixes:
  """All prefixes of one length; arrays over all layers, undecided ones 1.

  Attributes:
    reward: of the complete networks, undecided layers at the start.
    cost: likewise.
    feasible: whether a completion reaches the target.
    completion: reward of the best completion in the target.
  """

  reward: np.ndarray
  cost: np.ndarray
  feasible: np.ndarray
  completion: np.ndarray


def audit(
    benchmark: Benchmark, sweep: Sweep, top: int = 100, seed: int = 0
) -> list[LayerAudit]:
  """Counts, for every prefix length, where the assumption holds.

  Args:
    benchmark: its signal (the mean of several trainings), without errors.
    sweep: the search that is audited; it has not begun.
    top: number of best networks in the target whose prefixes are followed.
    seed: of the search, where start or order are random.

  Returns:
    One entry per length 1..L.

  Raises:
    UserError: the benchmark's table does not hold every architecture.
  """
  known = _without_errors(benchmark)
  layer_pass = _search(known, sweep, seed)
  reward = known.table.column('audited')
  feasible = known.table.feasible(known.cost, known.target)
  best = _best_networks(reward, feasible, top)
  audits = []
  before: np.ndarray | None = None
  for length in range(1, reward.ndim + 1):
    prefixes = _prefixes(known, reward, layer_pass, length)
    cut = SPACINGS[sweep.spacing](
        prefixes.cost[prefixes.feasible], sweep.buckets
    )
    is_best = _best_of_buckets(prefixes, cut)
    undecided = layer_pass.order[length:]
    followed = [
        bool(is_best[_prefix_index(network, undecided)]) for network in best
    ]
    audits.append(LayerAudit(
        length,
        int(prefixes.feasible.sum()),
        len(np.unique(_buckets(cut, prefixes.cost[prefixes.feasible]))),
        _share_that_extends(prefixes, cut, is_best, before),
        _share_kept(prefixes, layer_pass, length),
        followed[0],
        1 - sum(followed) / len(followed),
        _correlation(prefixes),
    ))
    before = is_best
  return audits


def audit_to_dict(layers: list[LayerAudit]) -> dict[str, Any]:
  """An audit as JSON types.

  Args:
    layers: as `audit` returns them.

  Returns:
    Its layers and their means; dropped prefixes and correlations without the
    last length, whose prefixes are whole networks.
  """
  inner = layers[:-1]
  return {
      'layers': [dataclasses.asdict(layer) for layer in layers],
      'holds': _mean([layer.holds for layer in layers]),
      'kept': _mean([layer.kept for layer in layers]),
      'optimum_dropped': _mean([not layer.optimum_kept for layer in inner]),
      'top_dropped': _mean([layer.top_dropped for layer in inner]),
      'correlation': _mean([layer.correlation for layer in inner]),
  }


def _mean(values: list[float | None]) -> float | None:
  known = [value for value in values if value is not None]
  return sum(known) / len(known) if known else None


def _without_errors(benchmark: Benchmark) -> Benchmark:
  """The benchmark with the mean of its signal's trainings as its signal.

  Larger is better: a signal that is minimised is negated.
  """
  table = enumerated(benchmark.table, 'audit')
  columns = [table.column(name) for name in benchmark.rewards]
  table = table.with_column(
      'audited', benchmark.sign * np.mean(columns, axis=0)
  )
  return Benchmark(
      benchmark.name, table, ('audited',), 'audited', benchmark.cost,
      benchmark.target,
  )


def _search(benchmark: Benchmark, sweep: Sweep, seed: int) -> LayerPass:
  """Runs a sweep to its end; returns its layer tables."""
  search = Search(benchmark.problem, sweep, seed=seed)
  evaluate = TableEvaluator(benchmark, seed)
  while candidates := search.ask():
    for candidate in candidates:
      search.tell(candidate.id, evaluate(candidate))
  return sweep.passes[-1]


def _prefixes(
    benchmark: Benchmark, reward: np.ndarray, layer_pass: LayerPass,
    length: int,
) -> _Prefixes:
  undecided = layer_pass.order[length:]
  at_start = tuple(
      slice(layer_pass.start[layer], layer_pass.start[layer] + 1)
      if layer in undecided else slice(None) for layer in range(reward.ndim)
  )
  cost = benchmark.table.column(benchmark.cost)
  inside = benchmark.table.feasible(benchmark.cost, benchmark.target)
  completion = np.where(inside, reward, -np.inf).max(
      axis=undecided, keepdims=True
  )
  # What the search prunes by: exact here, since the cost is enumerated.
  feasible = benchmark.target.meets(
      cost.min(axis=undecided, keepdims=True),
      cost.max(axis=undecided, keepdims=True),
  )
  return _Prefixes(reward[at_start], cost[at_start], feasible, completion)


def _buckets(axis: BucketAxis, costs: np.ndarray) -> np.ndarray:
  return np.searchsorted(axis.edges, costs, side='right')


def _best_of_buckets(prefixes: _Prefixes, axis: BucketAxis) -> np.ndarray:
  """Whether a prefix is feasible and no better one is in its bucket."""
  buckets = _buckets(axis, prefixes.cost)
  best = np.full(axis.size, -np.inf)
  np.maximum.at(
      best, buckets[prefixes.feasible], prefixes.reward[prefixes.feasible]
  )
  return prefixes.feasible & (prefixes.reward == best[buckets])


def _share_that_extends(
    prefixes: _Prefixes, axis: BucketAxis, is_best: np.ndarray,
    before: np.ndarray | None,
) -> float | None:
  if before is None:
    return None
  buckets = _buckets(axis, prefixes.cost)
  extends = is_best & np.broadcast_to(before, is_best.shape)
  held = len(np.unique(buckets[extends]))
  return held / len(np.unique(buckets[prefixes.feasible]))


def _share_kept(
    prefixes: _Prefixes, layer_pass: LayerPass, length: int
) -> float | None:
  """Share of the buckets in which the search has the best of all prefixes."""
  if length >= len(layer_pass.tables):
    return None
  table = layer_pass.tables[length]
  buckets = _buckets(table.axis, prefixes.cost)[prefixes.feasible]
  rewards = prefixes.reward[prefixes.feasible]
  best = np.full(table.axis.size, -np.inf)
  np.maximum.at(best, buckets, rewards)
  filled = np.unique(buckets).tolist()
  kept = sum(
      bucket in table.buckets and table.buckets[bucket][0].reward
      == best[bucket] for bucket in filled
  )
  return int(kept) / len(filled)


def _best_networks(
    reward: np.ndarray, feasible: np.ndarray, top: int
) -> list[tuple[int, ...]]:
  """The best networks in the target, best first."""
  known = np.where(feasible, reward, -np.inf)
  order = np.argsort(-known.ravel(), kind='stable')
  count = min(top, int(feasible.sum()))
  return [
      tuple(map(int, np.unravel_index(index, reward.shape)))
      for index in order[:count]
  ]


def _prefix_index(
    network: tuple[int, ...], undecided: tuple[int, ...]
) -> tuple[int, ...]:
  return tuple(
      0 if layer in undecided else option
      for layer, option in enumerate(network)
  )


def _correlation(prefixes: _Prefixes) -> float | None:
  known = prefixes.feasible & np.isfinite(prefixes.completion)
  reward, completion = prefixes.reward[known], prefixes.completion[known]
  if len(np.unique(reward)) < 2 or len(np.unique(completion)) < 2:
    return None
  return float(scipy.stats.spearmanr(reward, completion).statistic)
