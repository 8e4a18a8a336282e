"""Measures what trials of another task bring to a search.

  .venv/bin/python tools/perf/other_task.py
  .venv/bin/python tools/perf/other_task.py --report

On NATS-Bench's topology table, where trainings cost nothing: the default
schedule searches on CIFAR-100 and ImageNet16-120 with nothing known, with 100
trials of a search on CIFAR-10, and with two tasks that mislead: the same trials
with their rewards permuted, and with the options of every layer renumbered, of
which a model learns much that is wrong here. An answer is judged by its test
accuracy after 200 epochs, which no query gives.

What was decided by trying, the length of the design, was decided on CIFAR-100
alone. Finished runs are lines of searches.jsonl; the same command goes on with
those that are missing.
"""

import dataclasses
import itertools
import pathlib
import random
import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from absl import flags

from configs.study import nats
from layernas.runs import cli
from layernas.search import Budget
from layernas.search import ModelGuided
from layernas.search import Problem
from layernas.search import Search
from layernas.search import Trial
from layernas.search.warm_start import as_known
from layernas.study.setup import make_benchmark
from layernas.study.tables.benchmark import Benchmark
from layernas.study.tables.benchmark import TableEvaluator
from tools.perf import paired
from tools.perf.json_lines import Lines
from tools.perf.json_lines import define_result_flags

SOURCE = 'c10'
"""Data set of the other task."""

TARGETS = {'c100': 'CIFAR-100', 'in16': 'ImageNet16-120'}
"""Data sets of the searches."""

BUDGETS = (30, 60, 100)
"""Trials of a search."""

SOURCE_TRIALS = 100
"""Of the search on the other task."""

PLANS = {
    'alone': 'nothing known',
    'other': 'CIFAR-10',
    'permuted': 'rewards permuted',
    'renumbered': 'options renumbered',
}
"""What a search knows, in words."""

# The other task's searches have seeds of their own.
_SOURCE_SEED = 1000

_FLAGS = flags.FLAGS


def benchmark_of(dataset: str) -> Benchmark:
  """The topology table with the signal of a data set.

  Args:
    dataset: c10, c100 or in16.

  Returns:
    The benchmark.
  """
  return make_benchmark(f'nats_tss_{dataset}', nats.topology(dataset))


def run(
    benchmark: Benchmark, trials: int, seed: int,
    others: Sequence[Sequence[Trial]] = (),
) -> Search:
  """Runs one search.

  Args:
    benchmark: to search.
    trials: budget.
    seed: of the search.
    others: trials of other tasks.

  Returns:
    The finished search.
  """
  search = Search(
      benchmark.problem, ModelGuided(), Budget(trials=trials), seed
  )
  search.know((), others)
  evaluate = TableEvaluator(benchmark, seed)
  while candidates := search.ask():
    for candidate in candidates:
      search.tell(candidate.id, evaluate(candidate))
  return search


def permuted(trials: Sequence[Trial], seed: int) -> list[Trial]:
  """The same architectures and the same rewards, dealt out at random."""
  evaluations = [trial.evaluation for trial in trials]
  random.Random(seed).shuffle(evaluations)
  return [
      Trial(trial.candidate, evaluation)
      for trial, evaluation in zip(trials, evaluations, strict=True)
  ]


def renumbered(
    trials: Sequence[Trial], problem: Problem, seed: int
) -> list[Trial]:
  """The same rewards, of architectures with other numbers for their options."""
  rng = random.Random(seed)
  numbers = [rng.sample(range(n), n) for n in problem.space.option_counts]
  return [
      Trial(
          dataclasses.replace(trial.candidate, architecture=tuple(
              layer[option] for layer, option in
              zip(numbers, trial.candidate.architecture, strict=True)
          )),
          trial.evaluation,
      ) for trial in trials
  ]


def known_of(
    plan: str, trials: Sequence[Trial], problem: Problem, seed: int
) -> list[tuple[Trial, ...]]:
  """What a search is given.

  Args:
    plan: a key of `PLANS`.
    trials: of a search on the other task.
    problem: of the search that is given them.
    seed: of what misleads.

  Returns:
    One other task, or none.
  """
  changed = {
      'alone': lambda: None,
      'other': lambda: trials,
      'permuted': lambda: permuted(trials, seed),
      'renumbered': lambda: renumbered(trials, problem, seed),
  }[plan]()
  return [] if changed is None else [as_known(changed, problem)]


def _difference_text(figures: Sequence[float], alone: Sequence[float]) -> str:
  """How far figures are above those of searches that know nothing."""
  difference = paired.Difference(figures, alone)
  p = f'= {difference.p:.3f}' if difference.p >= 0.001 else '< 0.001'
  return f'{difference} (p {p})'


def table_text(lines: Sequence[Mapping[str, Any]]) -> str:
  """The comparison as a Markdown table.

  Args:
    lines: one for each search, with 'dataset', 'trials', 'plan', 'seed' and
      'figure'.

  Returns:
    A row for each data set and budget, over the seeds that every plan has.

  Raises:
    UserError: there are fewer than two such seeds.
  """
  alone, *plans = PLANS
  rows = [
      f'| data set | trials | {" | ".join(PLANS.values())} |',
      f'|---|{"---:|" * (1 + len(PLANS))}',
  ]
  for dataset, trials in itertools.product(TARGETS, BUDGETS):
    figures = paired.by_plan(
        (
            line for line in lines
            if (line['dataset'], line['trials']) == (dataset, trials)
        ), PLANS, lambda line: line['figure'],
    )
    cells = [
        f'{statistics.fmean(figures[alone]):.2f}',
        *(_difference_text(figures[plan], figures[alone]) for plan in plans),
    ]
    rows.append(f'| {TARGETS[dataset]} | {trials} | {" | ".join(cells)} |')
  return '\n'.join(rows)


def _run_missing(lines: Lines, seeds: int) -> None:
  """Runs the searches that have no line."""
  known = {
      tuple(line[name] for name in ('dataset', 'trials', 'plan', 'seed'))
      for line in lines.all
  }
  source = benchmark_of(SOURCE)
  targets = {dataset: benchmark_of(dataset) for dataset in TARGETS}
  for seed in range(seeds):
    keys = [
        key for key in itertools.product(TARGETS, BUDGETS, PLANS, [seed])
        if key not in known
    ]
    if not keys:
      continue
    before = run(source, SOURCE_TRIALS, _SOURCE_SEED + seed).trials
    for dataset, trials, plan, _ in keys:
      benchmark = targets[dataset]
      found = run(
          benchmark, trials, seed,
          known_of(plan, before, benchmark.problem, seed),
      ).best
      lines.add({
          'dataset': dataset, 'trials': trials, 'plan': plan, 'seed': seed,
          'figure': benchmark.reported(found.candidate.architecture, seed),
      })


def _define_flags() -> None:
  define_result_flags('other_task')
  flags.DEFINE_integer('seeds', 30, 'Runs of each plan.', 2)


def main() -> None:
  """Runs what is missing and prints the table."""
  folder = pathlib.Path(_FLAGS.output)
  lines = Lines(folder / 'searches.jsonl')
  if not _FLAGS.report:
    _run_missing(lines, _FLAGS.seeds)
  print(table_text(lines.all))


if __name__ == '__main__':
  _define_flags()
  cli.run(main)
