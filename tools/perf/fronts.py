"""Compares one search under several limits with a search for each of them.

  .venv/bin/python tools/perf/fronts.py
  .venv/bin/python tools/perf/fronts.py --report

On tables of benchmarks, where trainings cost nothing: a search of the default
schedule under three limits at once, three searches of as many trials each, and
three that share these trials. An answer is judged by the figure of the table
that no query of its run gave, of Accel-NASBench by the one without error.

Finished runs are lines of searches.jsonl; the same command goes on with those
that are missing.
"""

import itertools
import pathlib
import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from absl import flags

from configs.study import accel_nasbench
from configs.study import macro
from configs.study import nats
from layernas.runs import cli
from layernas.search import Budget
from layernas.search import ModelGuided
from layernas.search import Problem
from layernas.search import Search
from layernas.search import TargetInterval
from layernas.study.setup import make_benchmark
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.benchmark import TableEvaluator
from tools.perf import paired
from tools.perf.json_lines import Lines
from tools.perf.json_lines import define_result_flags

TRIALS = 90
"""Of a search under all limits."""

LIMITS = {
    'accel_nasbench': (220e6, 290e6, 380e6),
    'nas_bench_macro': (37e6, 46e6, 56e6),
    'nats_tss_c10': (12e6, 24e6, 48e6),
}
"""Upper limits in multiply-adds, by table: about a tenth, a quarter and a half
of the networks lie below them."""

PLANS = {
    'front': f'one search, {TRIALS} trials',
    'whole': f'three searches, {TRIALS} trials each',
    'share': f'three searches, {TRIALS // 3} trials each',
}
"""Ways to spend trials, in words."""

_FLAGS = flags.FLAGS


def benchmark_of(table: str) -> Benchmark:
  """A table with its signal, without limit.

  Args:
    table: a key of `LIMITS`.

  Returns:
    The benchmark.
  """
  section = {
      'accel_nasbench': lambda: accel_nasbench.section_of(
          'middle', accel_nasbench.NOISES['half'], TRIALS
      ),
      'nas_bench_macro': lambda: macro.section_of('nas_bench_macro'),
      'nats_tss_c10': lambda: nats.topology('c10'),
  }[table]()
  section.target.high = 0.0
  return make_benchmark(table, section)


def answers(
    benchmark: Benchmark, highs: Sequence[float], trials: int, seed: int
) -> list[float | None]:
  """Runs one search.

  Args:
    benchmark: of `benchmark_of`.
    highs: upper limits, ascending.
    trials: of the search.
    seed: of the search.

  Returns:
    For each limit the figure that its answer is judged by, None without one.
  """
  problem = Problem(
      benchmark.problem.cost, TargetInterval(high=highs[-1]),
      smaller_highs=tuple(highs[:-1]),
  )
  search = Search(problem, ModelGuided(), Budget(trials=trials), seed)
  evaluate = TableEvaluator(benchmark, seed)
  while candidates := search.ask():
    for candidate in candidates:
      search.tell(candidate.id, evaluate(candidate))
  return [
      trial and benchmark.reported(trial.candidate.architecture, seed)
      for _, trial in search.front()
  ]


def run(benchmark: Benchmark, plan: str, seed: int) -> dict[str, Any]:
  """Follows one plan.

  Args:
    benchmark: whose name is a key of `LIMITS`.
    plan: a key of `PLANS`.
    seed: of its searches.

  Returns:
    A line: 'table', 'plan', 'seed' and 'figures', one for each limit.
  """
  highs = LIMITS[benchmark.name]
  if plan == 'front':
    figures = answers(benchmark, highs, TRIALS, seed)
  else:
    trials = TRIALS if plan == 'whole' else TRIALS // len(highs)
    figures = list(itertools.chain.from_iterable(
        answers(benchmark, [high], trials, seed) for high in highs
    ))
  return {
      'table': benchmark.name, 'plan': plan, 'seed': seed, 'figures': figures,
  }


def table_text(lines: Sequence[Mapping[str, Any]]) -> str:
  """The comparison as a Markdown table.

  Args:
    lines: of `run`.

  Returns:
    A row for each table and limit, over the seeds that every plan has.

  Raises:
    UserError: there are fewer than two such seeds.
  """
  rows = [
      f'| table | MAdds at most, M | {PLANS["front"]} | {PLANS["whole"]} |'
      f' {PLANS["share"]} | front - {TRIALS} each | front - {TRIALS // 3} each'
      ' |',
      '|---|---:|---:|---:|---:|---:|---:|',
  ]
  for table, highs in LIMITS.items():
    for number, high in enumerate(highs):
      figures = paired.by_plan(
          (line for line in lines if line['table'] == table), PLANS,
          lambda line, number=number: line['figures'][number],
      )
      means = [f'{statistics.fmean(one):.2f}' for one in figures.values()]
      differences = [
          str(paired.Difference(figures['front'], figures[plan]))
          for plan in ('whole', 'share')
      ]
      rows.append(
          f'| {table} | {high / 1e6:g} |'
          f' {" | ".join([*means, *differences])} |'
      )
  return '\n'.join(rows)


def _define_flags() -> None:
  define_result_flags('fronts')
  flags.DEFINE_integer('seeds', 30, 'Runs of each plan.', 2)


def main() -> None:
  """Runs what is missing and prints the table."""
  folder = pathlib.Path(_FLAGS.output)
  lines = Lines(folder / 'searches.jsonl')
  known = {(line['table'], line['plan'], line['seed']) for line in lines.all}
  for table in () if _FLAGS.report else LIMITS:
    benchmark = benchmark_of(table)
    for seed, plan in itertools.product(range(_FLAGS.seeds), PLANS):
      if (table, plan, seed) not in known:
        lines.add(run(benchmark, plan, seed))
  print(table_text(lines.all))


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
